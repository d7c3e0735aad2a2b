"""What a listener knows about its clients before they come."""

from __future__ import annotations

import socket

import pytest

from roost.worker.listeners import own_address


@pytest.mark.parametrize("wildcard", [False, True])
def test_a_listener_bound_to_one_address_knows_its_clients_local_address(wildcard: bool) -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("" if wildcard else "127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client.connect(("127.0.0.1", port))
        accepted, _ = listener.accept()
        with accepted:
            known = own_address(listener.fileno())
            assert known == (None if wildcard else accepted.getsockname())
        assert listener.fileno() >= 0  # still ours


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_the_ipv6_wildcard_is_no_address() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        assert own_address(listener.fileno()) is None
