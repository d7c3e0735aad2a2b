"""What is written: strings in every form, rows, and nothing that lets a peer write our lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roost.imap import codes, replies


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b"abc", b'"abc"'),
        (b'a"b\\', b'"a\\"b\\\\"'),
        (b"a\tb", b'"a\tb"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"caf\xe9", b"{4}\r\ncaf\xe9"),
        (b"\x00", b"{1}\r\n\x00"),
        (b"\x01", b'"\x01"'),
    ],
)
def test_string(value: bytes, wire: bytes) -> None:
    assert replies.string(value) == wire
    assert replies.nstring(value) == wire


def test_other_strings() -> None:
    assert replies.nstring(None) == b"NIL"
    assert replies.string("é".encode(), utf8=True) == '"é"'.encode()
    assert replies.astring(b"INBOX") == b"INBOX"
    assert replies.astring(b"nil") == b'"nil"'
    assert replies.astring(b"") == b'""'
    assert replies.astring(b"a b") == b'"a b"'
    assert replies.astring(b"a%") == b'"a%"'
    assert replies.wire_mailbox("é") == b"&AOk-"
    assert replies.wire_mailbox("é", utf8=True) == '"é"'.encode()


def test_tagged_and_untagged() -> None:
    assert replies.tagged(b"a", b"OK", "Done.") == b"a OK Done.\r\n"
    assert replies.tagged(b"a", b"NO", "No such\r\n* BYE", b"NONEXISTENT") == b"a NO [NONEXISTENT] No such * BYE\r\n"
    assert replies.untagged(b"BYE", "caf\xe9\x00") == b"* BYE caf? \r\n"


def test_rows() -> None:
    assert replies.capability(b"A B") == b"* CAPABILITY A B\r\n"
    assert replies.list_row(["\\HasNoChildren"], "INBOX") == b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
    assert (
        replies.list_row([], 'a"b', separator=None, verb=b"LSUB", extended=b'("CHILDINFO" ("SUBSCRIBED"))')
        == b'* LSUB () NIL "a\\"b" ("CHILDINFO" ("SUBSCRIBED"))\r\n'
    )
    assert replies.list_row([], "x", separator="\\") == b'* LIST () "\\\\" x\r\n'
    assert (
        replies.status_row("a b", [(b"MESSAGES", 3), (b"MAILBOXID", b"(F1)")])
        == b'* STATUS "a b" (MESSAGES 3 MAILBOXID (F1))\r\n'
    )
    assert replies.search_row([]) == b"* SEARCH\r\n"
    assert replies.search_row([2, 4]) == b"* SEARCH 2 4\r\n"
    assert replies.search_row([2], 9) == b"* SEARCH 2 (MODSEQ 9)\r\n"
    assert replies.search_row([], 9) == b"* SEARCH\r\n"


def test_codes_of_all_errors_are_known() -> None:
    from roost import errors

    used = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RoostError)
    }
    assert used - {None} <= set(codes.CODES)


def test_codes_the_imap_room_sends_are_known() -> None:
    room = Path(__file__).parents[4] / "services" / "imap"
    sent = set()
    for path in room.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        sent |= set(re.findall(r"\[([A-Z][A-Z-]{2,})[ \]] ?[A-Z%{(]", text)) | set(
            re.findall(r'code="([A-Z-]+)"', text)
        )
    assert {"TRYCREATE", "APPENDUID", "READ-ONLY"} <= sent
    assert sent - {"RETURN"} <= set(codes.CODES)  # LIST's grammar has [RETURN …] in a comment
