"""The matcher of IMAP transcripts says no where it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.imap_player import Failed, play
from kit.transcript import Matcher, read, split_replies


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (b"A1 OK $", b"A1 OK done", True),
        (b"A1 OK $", b"A1 NO done", False),
        (b"A1 OK [READ-ONLY] $", b"A1 OK [READ-WRITE] Select completed.", False),
        (b"* 1 FETCH (FLAGS (\\Seen))", b"* 1 FETCH (UID 4 FLAGS (\\Seen \\Recent))", True),
        (b"* 1 FETCH (FLAGS (\\Seen))", b"* 1 FETCH (FLAGS (\\Seen \\Flagged))", False),
        (b"* 1 FETCH (FLAGS (\\Recent))", b"* 1 FETCH (FLAGS ())", False),
        (b"* 1 FETCH (UID 4)", b"* 2 FETCH (UID 4)", False),
        (b'* 1 FETCH (BODY[] "hello")', b"* 1 FETCH (BODY[] {5}\r\nhello)", True),
        (b'* 1 FETCH (BODY[] "hello")', b"* 1 FETCH (BODY[TEXT] {5}\r\nhello)", False),
        (b'* LIST (\\A \\B) "/" x', b'* LIST (\\B \\A) "/" "x"', True),
        (b'* LIST (\\A) "/" x', b'* LIST (\\B \\A) "/" x', False),
        (b"* SEARCH 1 2", b"* SEARCH 2 1", False),
        (b"* CAPABILITY IDLE", b"* CAPABILITY IMAP4rev1 IDLE", True),
        (b"* CAPABILITY MOVE", b"* CAPABILITY IMAP4rev1 IDLE", False),
        (b"* STATUS INBOX (MESSAGES 2)", b"* STATUS INBOX (UIDNEXT 3 MESSAGES 2)", True),
        (b"* STATUS INBOX (MESSAGES 3)", b"* STATUS INBOX (UIDNEXT 3 MESSAGES 2)", False),
        (b"* 3 EXISTS", b"* 3 RECENT", False),
    ],
)
def test_matching(expected: bytes, got: bytes, same: bool) -> None:
    assert Matcher().matches(expected, got) is same


def test_a_name_is_captured_once_and_only_by_a_match() -> None:
    matcher = Matcher()
    assert not matcher.matches(b"* 1 FETCH (UID $u FLAGS (\\Seen))", b"* 1 FETCH (UID 9 FLAGS ())")
    assert matcher.matches(b"* 1 FETCH (UID $u)", b"* 1 FETCH (UID 7)")
    assert not matcher.matches(b"* 1 FETCH (UID $u)", b"* 1 FETCH (UID 8)")
    assert matcher.expand(b"UID FETCH $u FLAGS") == b"UID FETCH 7 FLAGS"


def test_replies_are_cut_behind_their_literals() -> None:
    whole, rest = split_replies(b"* 1 FETCH (BODY[] {4}\r\na\r\nb)\r\nA OK x\r\n* 2 FE")
    assert whole == [b"* 1 FETCH (BODY[] {4}\r\na\r\nb)", b"A OK x"]
    assert rest == b"* 2 FE"


class Script:
    """A server that says what it is told to, whatever it hears."""

    preauth = True
    user = password = ""

    def __init__(self, said: bytes) -> None:
        self.said = [b"* PREAUTH ready\r\n", said]

    def connect(self) -> Script:
        return self

    def send(self, octets: bytes) -> None:
        pass

    def receive(self, secs: float) -> bytes | None:
        return self.said.pop(0) if self.said else None

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("lines", "said", "comes_out"),
    [
        ("S: * 1 EXISTS\nS: A OK $", b"* 1 EXISTS\r\nA OK x\r\n", True),
        ("S: * 1 EXISTS\nS: A OK $", b"A OK x\r\n", False),
        ("S: * 1 EXISTS\nS: * 2 RECENT\nS: A OK $", b"* 2 RECENT\r\n* 1 EXISTS\r\nA OK x\r\n", True),
        ("!: * $ EXPUNGE\nS: A OK $", b"* 1 EXPUNGE\r\nA OK x\r\n", False),
        ("!: * $ EXPUNGE\nS: A OK $", b"A OK x\r\n* 1 EXPUNGE\r\n", True),
        ("!: * BYE $\nS: (closed)", b"* BYE x\r\n", False),
        ("S: A NO $", b"A OK x\r\n", False),
        ("S: A OK $\nS: (closed)", b"A OK x\r\n", True),
    ],
)
def test_playing(tmp_path: Path, lines: str, said: bytes, comes_out: bool) -> None:
    path = tmp_path / "some.txt"
    path.write_text(f"about: x\nstate: auth\n\nC: A NOOP\n{lines}\n")
    if comes_out:
        play(read(path), Script(said))
    else:
        with pytest.raises(Failed, match=r"some\.txt:\d|forbids"):
            play(read(path), Script(said))


def test_order_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("about: x\nstate: auth\norder: strict\n\nC: A NOOP\nS: * 1 EXISTS\nS: * 2 RECENT\nS: A OK $\n")
    with pytest.raises(Failed):
        play(read(path), Script(b"* 2 RECENT\r\n* 1 EXISTS\r\nA OK x\r\n"))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("about: x\n\nC: A NOOP\nnonsense\n")
    with pytest.raises(ValueError, match=r"some\.txt:4"):
        read(path)
