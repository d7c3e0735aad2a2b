"""IMAP over TLS with real processes: STARTTLS, what is injected before it, implicit TLS, cut-off handshakes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit.imap_client import Client
from kit.instance import Instance


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost")) as instance:
        yield instance


def test_starttls_then_login(roost: Instance) -> None:
    client = Client(roost.imap_port)
    assert b" STARTTLS" in client.line()
    assert client.command(b"A STARTTLS")[-1].startswith(b"A OK Begin TLS")
    client.start_tls(roost.ca_file)
    names = client.command(b"B CAPABILITY")[0]
    assert b"STARTTLS" not in names and b"AUTH=PLAIN" in names
    assert client.command(b"C STARTTLS")[-1].startswith(b"C BAD")
    assert client.command(b"D LOGIN u1 pw")[-1].startswith(b"D OK [CAPABILITY")


def test_what_comes_before_the_handshake_is_thrown_away(roost: Instance) -> None:
    client = Client(roost.imap_port)
    client.line()
    client.sock.sendall(b"A STARTTLS\r\nX LOGIN u1 pw\r\nY NOOP\r\n")
    assert client.line().startswith(b"A OK")
    client.start_tls(roost.ca_file)
    lines = client.command(b"B CAPABILITY")
    assert [line.split()[0] for line in lines] == [b"*", b"B"]
    assert b"UIDPLUS" not in lines[0], "the injected LOGIN was run"


def test_half_a_command_before_the_handshake_is_thrown_away_too(roost: Instance) -> None:
    client = Client(roost.imap_port)
    client.line()
    client.sock.sendall(b"A STARTTLS\r\nX LOGIN u1 ")
    assert client.line().startswith(b"A OK")
    client.start_tls(roost.ca_file)
    client.sock.sendall(b"pw\r\n")
    assert b" BAD " in client.line()


def test_implicit_tls(roost: Instance) -> None:
    client = Client(roost.imaps_port)
    client.start_tls(roost.ca_file)
    assert b"STARTTLS" not in client.line()
    assert client.command(b"A LOGIN u1 pw")[-1].startswith(b"A OK")
    assert client.command(b"B LOGOUT")[-1].startswith(b"B OK")


def test_plain_words_on_the_tls_port_harm_nobody(roost: Instance) -> None:
    stranger = Client(roost.imaps_port)
    stranger.sock.sendall(b"A NOOP\r\n")
    with pytest.raises(ConnectionError):
        stranger.line()
    test_implicit_tls(roost)


def test_a_handshake_cut_off_harms_nobody(roost: Instance) -> None:
    for port in (roost.imap_port, roost.imaps_port):
        client = Client(port)
        if port == roost.imap_port:
            client.line()
            client.command(b"A STARTTLS")
        client.sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        client.sock.close()
    test_starttls_then_login(roost)


def test_settings_may_depend_on_who_connects(tmp_path_factory: pytest.TempPathFactory) -> None:
    conf = """
remote 127.0.0.0/8 {
  login_greeting = Hello near.
  ssl = required
}
"""
    with Instance(tmp_path_factory.mktemp("filtered"), conf) as own:
        client = Client(own.imap_port)
        greeting = client.line()
        assert b" LOGINDISABLED" in greeting and greeting.endswith(b"Hello near.")
        assert client.command(b"A LOGIN u1 pw")[-1].startswith(b"A NO [PRIVACYREQUIRED]")
        client.command(b"B STARTTLS")
        client.start_tls(own.ca_file)
        assert client.command(b"C LOGIN u1 pw")[-1].startswith(b"C OK")
