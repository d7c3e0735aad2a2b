"""The anvil socket's messages: round trips and hostile lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc import anvil as wire

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=200)
@given(TEXT, TEXT, TEXT, TEXT, st.integers(0, 10**9))
def test_sessions_survive(session_id: str, user: str, service: str, ip: str, pid: int) -> None:
    word, arguments = wire.parse_command(wire.connect_line(session_id, pid, user, service, ip)[:-1])
    assert (word, arguments[:5]) == ("CONNECT", [session_id, str(pid), user, service, ip])
    word, arguments = wire.parse_command(wire.disconnect_line(session_id, pid, user, service, ip)[:-1])
    assert (word, arguments) == ("DISCONNECT", [session_id, str(pid), user, service, ip])
    row = wire.SessionRow(pid, user, service, ip, session_id)
    assert wire.parse_row(wire.row_line(row)[:-1]) == row


def test_small_ones() -> None:
    assert wire.parse_command(wire.kicked_line(3, 2)[:-1]) == ("KICKED", ["3", "2"])
    assert wire.parse_command(b"CONNECT-DUMP") == ("CONNECT-DUMP", [])
    assert wire.parse_command(b"KICK-USER\tbob") == ("KICK-USER", ["bob"])
    assert wire.parse_hello(b"") is None
    assert wire.parse_hello(b"imap\t77") == ("imap", 77)
    assert wire.base_service("imap-login") == "imap" and wire.base_service("imap") == "imap"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"FROB\tx", "Unknown command: FROB"),
        (b"", "Unknown command: "),
        (b"LOOKUP\ta\tb", "LOOKUP: Wrong number of parameters"),
        (b"CONNECT-DUMP\tx", "CONNECT-DUMP: Wrong number of parameters"),
        (b"CONNECT\tg\tpid\tu\ts\ti", "CONNECT: Invalid pid"),
        (b"CONNECT\tg\t1\tu\ts", "CONNECT: Wrong number of parameters"),
        (b"KICKED\t1\tmany", "KICKED: Invalid number"),
    ],
)
def test_refused_commands(line: bytes, text: str) -> None:
    with pytest.raises(Malformed) as caught:
        wire.parse_command(line)
    assert caught.value.client_text == text


@pytest.mark.parametrize("line", [b"imap", b"imap\tx", b"\t5", b"imap\t5\tmore", b"VERSION\ta\t1\t0"])
def test_refused_hellos(line: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_hello(line)


@settings(max_examples=200)
@given(st.binary(max_size=100))
def test_any_line_has_an_answer(line: bytes) -> None:
    line = line.replace(b"\n", b"")
    for parse in (wire.parse_command, wire.parse_hello, wire.parse_row):
        try:
            parse(line)
        except Malformed:
            pass
