"""Log pipes' octets → lines, fed whole, octet by octet and at random cuts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.loglines import LINE_MAX_OCTETS, Line, Splitter

PREFIX = "imap[7]: "

CASES: list[tuple[bytes, list[Line]]] = [
    (b"\x01Iimap(bob)<7><abc>: Disconnected\n", [Line("I", "imap(bob)<7><abc>: ", "Disconnected")]),
    (b"\x01Wauth: slow: very\n", [Line("W", "auth: ", "slow: very")]),
    # A user name cannot forge a level: it stays inside the parentheses.
    (b"\x01Iimap(x: Error: ha)<7><a>: text\n", [Line("I", "imap(x: Error: ha)<7><a>: ", "text")]),
    (b"\x01Eno prefix here\n", [Line("E", PREFIX, "no prefix here")]),
    (b"Traceback (most recent call last):\n", [Line("E", PREFIX, "Traceback (most recent call last):", raw=True)]),
    (b"  File x: y\n", [Line("E", PREFIX, "  File x: y", raw=True)]),
    (b"\x01Zimap: bad level\n", [Line("E", PREFIX, "?Zimap: bad level", raw=True)]),
    (b"\x01\n", [Line("E", PREFIX, "?", raw=True)]),
    (b"\n  \n", []),
    (b"bell \x07 and \x1b[31m\xff\n", [Line("E", PREFIX, "bell ? and ?[31m\\xff", raw=True)]),
    (b"one\ntwo\n", [Line("E", PREFIX, "one", raw=True), Line("E", PREFIX, "two", raw=True)]),
]


@pytest.mark.parametrize(("data", "lines"), CASES)
def test_lines_whole_and_octet_by_octet(data: bytes, lines: list[Line]) -> None:
    assert Splitter(PREFIX).feed(data) == lines
    splitter = Splitter(PREFIX)
    assert [line for octet in data for line in splitter.feed(bytes([octet]))] == lines


def test_random_cuts_of_everything() -> None:
    data = b"".join(case[0] for case in CASES)
    whole = Splitter(PREFIX).feed(data)
    rng = random.Random(7)
    for _ in range(50):
        splitter, found, rest = Splitter(PREFIX), [], data
        while rest:
            cut = rng.randint(1, 40)
            found += splitter.feed(rest[:cut])
            rest = rest[cut:]
        assert found == whole


def test_a_torn_last_line_comes_out_at_the_end() -> None:
    splitter = Splitter(PREFIX)
    assert splitter.feed(b"MemoryErr") == []
    assert splitter.finish() == [Line("E", PREFIX, "MemoryErr", raw=True)]
    assert splitter.finish() == []


def test_endless_lines_are_cut() -> None:
    splitter = Splitter(PREFIX)
    lines = [line for _ in range(30) for line in splitter.feed(b"x" * 1000)]
    lines += splitter.finish()
    assert sum(len(line.text) for line in lines) == 30_000
    assert max(len(line.text) for line in lines) <= LINE_MAX_OCTETS


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_no_octets_make_a_control_character_or_a_line_break(data: bytes) -> None:
    splitter = Splitter(PREFIX)
    for line in splitter.feed(data) + splitter.finish():
        assert line.level in "DIWEFP"
        assert not any(ord(char) < 32 and char != "\t" for char in line.prefix + line.text)
