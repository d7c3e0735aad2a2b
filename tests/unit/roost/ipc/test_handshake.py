"""The VERSION greeting."""

from __future__ import annotations

import pytest

from roost.errors import Malformed
from roost.ipc.handshake import check_version, is_number, version_line


def test_greeting_round_trip() -> None:
    assert version_line("anvil-client", 2, 0) == b"VERSION\tanvil-client\t2\t0\n"
    assert check_version(b"VERSION\tanvil-client\t2\t7", "anvil-client", 2) == 7


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"VERSION",
        b"VERSION\tanvil-client\t2",
        b"VERSION\tanvil-client\t3\t0",
        b"VERSION\tnotify-client\t2\t0",
        b"VERSION\tanvil-client\ttwo\t0",
        b"VERSION\tanvil-client\t2\t-1",
        b"VERSION\tanvil-client\t2\t0\textra",
        b"GET / HTTP/1.1\r",
        b"\xff\xfe\x00\x01",
        b"VERSION\tanvil-client\t\xc2\xb2\t0",
        b"VERSION\tanvil-client\t" + b"9" * 5000 + b"\t0",
    ],
)
def test_other_greetings_are_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        check_version(line, "anvil-client", 2)


def test_numbers_are_short_ascii_digits() -> None:
    assert is_number("0") and is_number("123456789012345678")
    assert not any(is_number(text) for text in ("", "-1", "1.0", " 1", "²", "1" * 19))
