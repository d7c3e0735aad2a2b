"""What is written: strings in every form, rows, and nothing that lets a peer write our lines."""

from __future__ import annotations

import pytest

from roost.imap import capabilities, codes, replies
from roost.util.ranges import Ranges


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
    assert replies.literal(b"x") == b"{1}\r\nx"


def test_tagged_and_untagged() -> None:
    assert replies.tagged(b"a", b"OK", "Done.") == b"a OK Done.\r\n"
    assert replies.tagged(b"a", b"NO", "No such\r\n* BYE", b"NONEXISTENT") == b"a NO [NONEXISTENT] No such * BYE\r\n"
    assert replies.untagged(b"BYE", "caf\xe9\x00") == b"* BYE caf? \r\n"
    assert replies.continuation() == b"+ \r\n"
    assert replies.continuation(b"abc") == b"+ abc\r\n"


def test_rows() -> None:
    assert replies.exists(3) + replies.recent(0) == b"* 3 EXISTS\r\n* 0 RECENT\r\n"
    assert replies.expunges([5, 2]) == b"* 5 EXPUNGE\r\n* 2 EXPUNGE\r\n"
    assert replies.expunges([]) == b""
    assert replies.capability([b"A", b"B"]) == b"* CAPABILITY A B\r\n"
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


def test_codes_with_values() -> None:
    made = [
        codes.capability([b"IMAP4rev1", b"IDLE"]),
        codes.permanent_flags(b"(\\Seen)"),
        codes.uidvalidity(1),
        codes.uidnext(2),
        codes.unseen(3),
        codes.highest_modseq(4),
        codes.modified(Ranges.of(1, 2, 5)),
        codes.append_uid(7, Ranges.span(3, 5)),
        codes.copy_uid(7, Ranges.of(1, 4), Ranges.of(8, 9)),
        codes.BADCHARSET,
    ]
    assert made == [
        b"CAPABILITY IMAP4rev1 IDLE",
        b"PERMANENTFLAGS (\\Seen)",
        b"UIDVALIDITY 1",
        b"UIDNEXT 2",
        b"UNSEEN 3",
        b"HIGHESTMODSEQ 4",
        b"MODIFIED 1:2,5",
        b"APPENDUID 7 3:5",
        b"COPYUID 7 1,4 8:9",
        b"BADCHARSET (US-ASCII UTF-8)",
    ]
    assert {text.split()[0].decode() for text in made} <= set(codes.CODES)


def test_codes_of_all_errors_are_known() -> None:
    from roost import errors

    used = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RoostError)
    }
    assert used - {None} <= set(codes.CODES)


def test_capabilities_before_and_after_login() -> None:
    before = capabilities.show(logged_in=False, features={"tls_possible", "plaintext_forbidden"}, mechanisms=["PLAIN"])
    assert before[0] == b"IMAP4rev1"
    assert {b"STARTTLS", b"LOGINDISABLED", b"AUTH=PLAIN", b"SASL-IR", b"LITERAL+"} <= set(before)
    assert b"MOVE" not in before
    after = capabilities.show(logged_in=True, features={"move", "tls_possible"}, mechanisms=["PLAIN"], append_limit=5)
    assert b"MOVE" in after
    assert b"APPENDLIMIT=5" in after
    assert not {b"STARTTLS", b"AUTH=PLAIN", b"CONDSTORE", b"SPECIAL-USE"} & set(after)
    assert b"APPENDLIMIT" in capabilities.show(logged_in=True, features=())
    assert b"STARTTLS" not in capabilities.show(logged_in=False, features=())
    names = [row.name for row in capabilities.CAPABILITIES]
    assert len(set(names)) == len(names)
