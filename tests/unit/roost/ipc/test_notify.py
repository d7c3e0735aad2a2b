"""The notify socket's messages: round trips, the length of a hint, hostile lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc import notify as wire

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)


@settings(max_examples=200)
@given(NAMES, st.text("abcdef0123456789-", max_size=60), st.integers(0, 2**59), st.integers(0, 31))
def test_hints_survive_and_stay_short(name: str, mailbox: str, modseq: int, kinds: int) -> None:
    key = wire.user_key(name)
    line = wire.hint_line(wire.Hint(key, mailbox, modseq, kinds))
    assert len(line) <= wire.MAX_LINE_OCTETS
    expected = mailbox if len(mailbox) <= wire.MAX_MAILBOX_OCTETS else ""
    assert wire.parse(line[:-1]) == wire.Hint(key, expected, modseq, kinds)


@settings(max_examples=100)
@given(NAMES)
def test_the_other_messages_survive(name: str) -> None:
    key = wire.user_key(name)
    assert wire.parse(wire.watch_line(key)[:-1]) == wire.Watch(key)
    assert wire.parse(wire.unwatch_line(key)[:-1]) == wire.Unwatch(key)
    assert wire.parse(wire.nobody_line(key)[:-1]) == wire.Nobody(key)
    assert wire.parse(wire.wanted_line(key)[:-1]) == wire.Wanted(key)
    assert wire.parse(wire.RESYNC_LINE[:-1]) == wire.Resync()


def test_long_names_have_distinct_short_keys() -> None:
    one, two = "a" * 500, "a" * 499 + "b"
    assert wire.user_key(one) != wire.user_key(two)
    assert len(wire.user_key(one)) < 40
    assert wire.user_key("bob") == "bob"


def test_merging() -> None:
    assert wire.Hint("u", "m", 5, 1).merged(wire.Hint("u", "m", 3, 4)) == wire.Hint("u", "m", 5, 5)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"HINT", b"HINT\tu\tm\t1", b"HINT\tu\tm\t-1\t1", b"HINT\tu\tm\t1\tx", b"hint\tu\tm\t1\t1"),
        *(b"WATCH", b"WATCH\ta\tb", b"WATCH\t" + b"x" * 97, b"RESYNC\tx", b"\xff\xff"),
        b"HINT\tu\tm\t" + b"9" * 30 + b"\t1",
    ],
)
def test_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse(line)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(lambda tail: b"HINT\t" + tail)))
def test_any_line_has_an_answer(line: bytes) -> None:
    try:
        wire.parse(line.replace(b"\n", b""))
    except Malformed:
        pass
