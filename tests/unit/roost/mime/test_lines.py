"""Counting and checking line ends in windows gives what two patterns over everything give."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.mime import lines, parts
from roost.mime.lines import marks

BARE = re.compile(rb"(?<!\r)\n")


def plain(data: bytes, window: int) -> list[int] | None:
    if BARE.search(data):
        return None
    return [data.count(b"\n", 0, at) for at in (*range(0, len(data), window), len(data))]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(lines, "WINDOW_OCTETS", 8)
    return 8


PIECES = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\r\n", b"a", b"ab\r\n", b"abcd", b"ab\r\nab\r\nab\r\n"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_any_line_ends_in_small_windows(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    whole = lines.WINDOW_OCTETS
    try:
        for window in (1, 2, 3, 8, 64):
            lines.WINDOW_OCTETS = window  # type: ignore[misc]  # small enough for every kind of border
            assert marks(data) == plain(data, window)
    finally:
        lines.WINDOW_OCTETS = whole  # type: ignore[misc]


def test_every_short_text(small: int) -> None:
    for n in range(3**11):
        data = bytearray()
        for _ in range(11):
            n, octet = divmod(n, 3)
            data.append(b"\r\nx"[octet])
        assert marks(bytes(data)) == plain(bytes(data), small)


@pytest.mark.parametrize("length", [2, 60, 76, 998])
def test_base64_and_one_wrong_octet(length: int) -> None:
    data = (b"A" * length + b"\r\n") * (300_000 // (length + 2))
    assert marks(data) == plain(data, lines.WINDOW_OCTETS)
    for at in (0, length, length + 1, 65535, 65536, 131072, len(data) - 2, len(data) - 1):
        for octet in b"\r\nB":
            wrong = data[:at] + bytes([octet]) + data[at + 1 :]
            assert marks(wrong) == plain(wrong, lines.WINDOW_OCTETS)
        cut = data[:at] + data[at + 1 :]
        assert marks(cut) == plain(cut, lines.WINDOW_OCTETS)


def test_parts_count_the_same_lines_with_marks() -> None:
    dice = random.Random(1)
    text = b"".join(b"x" * dice.randrange(90) + b"\r\n" for _ in range(4000))
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\n" + text
    inner = [
        b"\r\n" + text,
        b"Content-Type: image/png\r\n\r\n" + b"A" * 200_000,
        b"\r\nshort\r\n",
        message,
        b"\r\n" + text,
    ]
    whole = head + b"".join(b"--b\r\n%b\r\n" % part for part in inner) + b"--b--\r\n"
    for data in (whole, b"Subject: a\r\n\r\n" + text):
        assert counted(parts.parse(data)) == counted(parts.parse(data, marks=marks(data)))
    assert len(counted(parts.parse(whole))) == 7


def counted(part: parts.Part) -> list[tuple[bytes, int]]:
    found = [(part.type, part.lines)]
    for child in part.children:
        found += counted(child)
    return found
