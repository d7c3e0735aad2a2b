"""Command lines: whole, octet by octet and at random cuts; over-long lines cost bounded memory and one error each."""

from __future__ import annotations

import random

import pytest

from roost.errors import Malformed
from roost.smtp.lines import LineReader

TOO_LONG = b"<too long>"


def drain(reader: LineReader) -> list[bytes]:
    lines = []
    while True:
        try:
            line = reader.next_line()
        except Malformed as error:
            assert error.code == "LINE_TOO_LONG"
            lines.append(TOO_LONG)
            continue
        if line is None:
            return lines
        lines.append(line)


STREAM = b"LHLO x\r\nNOOP\n\r\n\n" + b"A" * 20 + b"\r\n" + b"B" * 21 + b"\r\n" + b"C" * 300 + b"\nQUIT\r\n a\rb \r\n"
LINES = [b"LHLO x", b"NOOP", b"", b"", b"A" * 20, TOO_LONG, TOO_LONG, b"QUIT", b" a\rb "]


def test_whole() -> None:
    reader = LineReader(20)
    reader.feed(STREAM)
    assert drain(reader) == LINES
    assert reader.pending_octets == 0


def test_octet_by_octet() -> None:
    reader = LineReader(20)
    lines = []
    for i in range(len(STREAM)):
        reader.feed(STREAM[i : i + 1])
        lines += drain(reader)
    assert lines == LINES


@pytest.mark.parametrize("seed", range(50))
def test_random_cuts(seed: int) -> None:
    dice = random.Random(seed)
    reader = LineReader(20)
    lines = []
    at = 0
    while at < len(STREAM):
        step = dice.randint(1, 40)
        reader.feed(STREAM[at : at + step])
        at += step
        if dice.random() < 0.5:
            lines += drain(reader)
    assert lines + drain(reader) == LINES


def test_overlong_line_keeps_nothing() -> None:
    reader = LineReader(100)
    for _ in range(1000):
        reader.feed(b"x" * 1000)
        assert reader.next_line() is None
        assert reader.pending_octets <= 102
    reader.feed(b"\r\nNOOP\r\n")
    assert drain(reader) == [TOO_LONG, b"NOOP"]


def test_take_leaves_nothing() -> None:
    reader = LineReader(100)
    reader.feed(b"DATA\r\nbody\r\n.\r\n")
    assert reader.next_line() == b"DATA"
    assert reader.take() == b"body\r\n.\r\n"
    assert reader.next_line() is None
    assert reader.pending_octets == 0
