"""Header fields by offsets, folding, selection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.mime import header

BLOCK = (
    b"From: a@b\r\nReceived: one\r\n two\r\n\tthree\r\nno field here\r\nReceived : four\r\n"
    b"Subject:\r\nX-Bare: x\nX-Last: y\r\n\r\nBody: no\r\n"
)


def test_fields() -> None:
    stop = header.header_stop(BLOCK)
    assert BLOCK[stop:].startswith(b"\r\nBody")
    assert header.all_fields(BLOCK, 0, stop) == [
        (b"from", b"a@b\r"),
        (b"received", b"one\r\n two\r\n\tthree\r"),
        (b"received", b"four\r"),
        (b"subject", b"\r"),
        (b"x-bare", b"x"),
        (b"x-last", b"y\r"),
    ]
    assert header.field_values(BLOCK, 0, stop)[b"received"].startswith(b"one")
    assert header.find(BLOCK, b"received", 0, stop) == b"one two three"
    assert header.find(BLOCK, b"subject") == b""
    assert header.find(BLOCK, b"nothing") is None


@pytest.mark.parametrize(
    ("data", "ends"),
    [
        (b"", (0, 0)),
        (b"\r\nx", (0, 2)),
        (b"\nx", (0, 1)),
        (b"A: b", (4, 4)),
        (b"A: b\r\n", (6, 6)),
        (b"A: b\r\n\r\nx", (6, 8)),
        (b"A: b\n\nx\r\n\r\n", (5, 6)),
        (b"A: b\n\r\nx", (5, 7)),
        (b"A: b\r\n\n", (6, 7)),
        (b"A: b\r\r\n\r\n", (7, 9)),
    ],
)
def test_where_a_header_ends(data: bytes, ends: tuple[int, int]) -> None:
    assert header.header_ends(data, 0, len(data)) == ends
    crlf = data.find(b"\n\r\n")
    assert header.header_ends(data, 0, len(data), crlf if crlf >= 0 else len(data)) == ends


def test_an_empty_line_beyond_the_stop_does_not_count() -> None:
    assert header.header_ends(b"A: b\r\n\r\n", 0, 7) == (7, 7)
    assert header.header_ends(b"A: b\r\n\r\n", 0, 7, 5) == (7, 7)


def test_select() -> None:
    assert (
        header.select_fields(BLOCK, {b"received", b"x-none"})
        == b"Received: one\r\n two\r\n\tthree\r\nReceived : four\r\n"
    )
    assert header.select_fields(BLOCK, {b"received", b"from"}, invert=True) == (
        b"no field here\r\nSubject:\r\nX-Bare: x\nX-Last: y\r\n"
    )
    assert header.select_fields(b"A: b\r\nC: d", {b"c"}) == b"C: d\r\n"
    assert header.select_fields(BLOCK, set()) == b""
    assert header.select_fields(b"xx\r\nA: b\r\n", {b"a"}, 2) == b""  # the header there is empty
    assert header.select_fields(b"xxA: b\r\n", {b"a"}, 2) == b"A: b\r\n"


def test_folding_and_escapes() -> None:
    assert header.unfold(b" \r\n a\r\n\tb\x00 \r\n") == b"a b"
    assert header.unescape(b'a\\"b\\\\c\\') == b'a"b\\c'


@given(st.binary(max_size=200))
def test_selection_and_its_inverse_are_the_whole(block: bytes) -> None:
    stop = header.header_stop(block)
    fields = header.all_fields(block, 0, stop)
    chosen = {name for name, _ in fields[::2]}
    kept = header.select_fields(block, chosen)
    rest = header.select_fields(block, chosen, invert=True)
    assert sorted(kept.split() + rest.split()) == sorted(block[:stop].split())
    assert {name for name, _ in header.all_fields(kept)} == chosen


@given(st.lists(st.sampled_from([b"A: b", b"\r\n", b"\n", b" ", b"\t", b":", b"c", b"\r"]), max_size=30).map(b"".join))
def test_long_blocks_are_read_like_short_ones(block: bytes) -> None:
    whole = list(header._steps(header._FIELD, block, 0, len(block), 10_000))
    one_by_one = [m.groups(b"") for m in header._FIELD.finditer(block)]
    assert whole == one_by_one


def test_bounds() -> None:
    many = b"".join(b"a%d:\r\n" % n for n in range(20_000))
    assert len(header.field_values(many)) == 10_000
    assert len(header.all_fields(many, max_fields=7)) == 7
    huge = b"A: b\r\n" * 400_000
    assert len(header.select_fields(huge, {b"a"})) == header.MAX_HEADER_OCTETS + 2  # the cut field gets its CRLF
