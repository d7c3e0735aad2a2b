"""Sequence sets: the grammar, what ``*`` means, and edges of 32 bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.imap import seqset

NUMBER = st.one_of(st.just("*"), st.integers(1, 40).map(str), st.integers(1, seqset.MAX_NUMBER).map(str))
ITEM = st.one_of(NUMBER, st.tuples(NUMBER, NUMBER).map(":".join))


def numbers_of(text: str, maximum: int) -> set[int]:
    """The set by the RFC's words, as far as there are messages."""
    found = set()
    for item in text.split(","):
        ends = [maximum if end == "*" else int(end) for end in item.split(":")]
        found |= set(range(min(ends), min(max(ends), maximum) + 1))
    return found


@given(st.lists(ITEM, min_size=1, max_size=30).map(",".join), st.integers(1, 45))
def test_resolved_as_written(text: str, maximum: int) -> None:
    found = seqset.resolve(seqset.parse(text.encode()), maximum)
    assert {n for n in range(1, maximum + 1) if n in found} == numbers_of(text, maximum)


@pytest.mark.parametrize(
    ("text", "maximum", "wanted"),
    [
        (b"1:3", 9, b"1:3"),
        (b"5:3", 9, b"3:5"),
        (b"*", 9, b"9"),
        (b"*:1", 9, b"1:9"),
        (b"1,*", 9, b"1,9"),
        (b"20:*", 9, b"9:20"),
        (b"*:20", 9, b"9:20"),
        (b"*:*", 9, b"9"),
        (b"1:4294967295", 9, b"1:4294967295"),
        (b"4294967295", 9, b"4294967295"),
        (b"2,1,3:3", 9, b"1:3"),
        (b"*", 0, b""),
        (b"1:*", 0, b""),
        (b"3,1:*", 0, b""),
        (b"3,7:*", 0, b"3"),
    ],
)
def test_resolve(text: bytes, maximum: int, wanted: bytes) -> None:
    assert seqset.resolve(seqset.parse(text), maximum).format() == wanted


@pytest.mark.parametrize(
    "text",
    [
        b"", b"0", b"01", b"a", b"1:", b":1", b",1", b"1,", b"1,,2", b"1:2:3", b"1 2", b"-1", b"$", b"1:0", b"**",
        b"*1", b"4294967296", b"1:4294967296", b"99999999999999999999", b"*,4294967296", b"4294967296:*",
        b"9999999999:*", b"1\n", b"1:2,3:9999999999", b"1,9999999999", b"1,2:9999999999",
    ],
)  # fmt: skip
def test_refused(text: bytes) -> None:
    with pytest.raises(Malformed, match="Invalid messageset"):
        seqset.parse(text)


def test_star_is_seen() -> None:
    assert seqset.parse(b"3:*,1").has_star
    assert not seqset.parse(b"1:4294967295").has_star


def test_a_long_set_is_one_pass() -> None:
    """A quadratic reading of 400,000 items would outlast the test's time."""
    text = b",".join(b"%d" % n for n in range(800_000, 2, -2))
    assert len(seqset.parse(text).pairs) == 399_999
