"""Escaping and cutting of TAB-separated lines."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc.lines import (
    MAX_LINE_OCTETS,
    LineSplitter,
    decode,
    decode_text,
    encode,
    encode_bounded,
    escape,
    pairs,
    unescape,
)


@pytest.mark.parametrize(
    ("plain", "wire"),
    [
        (b"", b""),
        (b"user@example.org", b"user@example.org"),
        (b"a\tb", b"a\x01tb"),
        (b"a\nb", b"a\x01nb"),
        (b"a\rb", b"a\x01rb"),
        (b"a\0b", b"a\x010b"),
        (b"\x01", b"\x011"),
        (b"\x01t", b"\x011t"),
    ],
)
def test_escape_has_dovecots_form(plain: bytes, wire: bytes) -> None:
    assert escape(plain) == wire
    assert unescape(wire) == plain


def test_unknown_and_cut_escapes_do_not_fail() -> None:
    assert unescape(b"a\x01xb") == b"axb"
    assert unescape(b"a\x01") == b"a"


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_decode_undoes_encode(fields: list[bytes]) -> None:
    line = encode(*fields)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert line.count(b"\t") == len(fields) - 1
    assert decode(line[:-1]) == fields


@settings(max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
def test_text_survives(fields: list[str]) -> None:
    assert decode_text(encode(*fields)[:-1]) == fields


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_decode_takes_any_octets(octets: bytes) -> None:
    line = octets.replace(b"\n", b"")
    assert len(decode(line)) == line.count(b"\t") + 1
    assert encode(*decode_text(line))  # what was decoded can be sent again


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=10), st.integers(0, 2**32))
def test_splitter_gives_the_same_lines_for_every_cut(lines: list[bytes], seed: int) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    cutter = random.Random(seed)
    for step in (1, len(stream), None):
        splitter = LineSplitter()
        got: list[bytes] = []
        at = 0
        while at < len(stream):
            size = cutter.randint(1, 9) if step is None else step
            got += splitter.feed(memoryview(stream)[at : at + size])
            at += size
        assert got == lines
        assert splitter.pending_octets == 4


def test_splitter_refuses_long_lines_whole_and_unfinished() -> None:
    longest = b"x" * (MAX_LINE_OCTETS - 1)
    assert LineSplitter().feed(longest + b"\n") == [longest]
    with pytest.raises(Malformed):
        LineSplitter().feed(longest + b"x\n")
    splitter = LineSplitter(10)
    splitter.feed(b"123456789")
    with pytest.raises(Malformed):
        splitter.feed(b"0")


def test_encode_bounded_refuses_what_the_peer_would() -> None:
    assert encode_bounded("a", "b") == b"a\tb\n"
    with pytest.raises(Malformed):
        encode_bounded("x" * MAX_LINE_OCTETS)


def test_pairs() -> None:
    assert pairs(["user=a=b", "nologin", "x="]) == {"user": "a=b", "nologin": "", "x": ""}
