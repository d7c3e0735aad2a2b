"""Line ends of large messages: one pass that makes sure every LF follows a CR, and counts them.

Octets are looked at in windows. A window of lines of one length, as base64 has them, costs two strided slices and one
search (0.1 ns an octet); other text goes through the standard library's newline decoder, which notices and counts in
one go what a pattern and a count need two passes for; a window with lone CRs falls back to those two.
"""

from __future__ import annotations

import re
from io import IncrementalNewlineDecoder
from typing import Final

WINDOW_OCTETS: Final = 1 << 16

_LINES = re.compile(rb"(?:.*+(?<=\r)\n)*+.*+")
_CR: Final = 0x0D


def marks(data: bytes) -> list[int] | None:
    """How many LFs there are before each multiple of ``WINDOW_OCTETS`` up to the end; None: an LF without CR."""
    found = [0]
    total = 0
    for start in range(0, len(data), WINDOW_OCTETS):
        stop = min(start + WINDOW_OCTETS, len(data))
        count = _regular(data, start, stop)
        if count < 0:
            count = _decoded(data, start, stop)
        if count < 0:
            if not _LINES.fullmatch(data, start, stop):
                return None
            count = data.count(b"\n", start, stop)
        total += count
        found.append(total)
    return found


def _regular(data: bytes, start: int, stop: int) -> int:
    """The LFs of a window all of whose lines are equally long and end in CRLF; -1: it is not one."""
    first = data.find(b"\n", start, stop)
    if first < 0:
        return 0
    length = data.find(b"\n", first + 1, stop) - first
    if first == 0 or length < 2:
        return -1
    column = data[first:stop:length]
    count = len(column)
    # The CR before the first LF of the window may be the last octet of the window before.
    if column != b"\n" * count or data[first - 1 : stop - 1 : length] != b"\r" * count:
        return -1
    rest = bytearray(memoryview(data)[start:stop])
    del rest[first - start :: length]
    return count if rest.find(b"\n") < 0 else -1


def _decoded(data: bytes, start: int, stop: int) -> int:
    """The LFs of a window; -1: an LF without CR, or a CR without LF."""
    if start and data[start - 1] == _CR:
        start -= 1
    if data[stop - 1] == _CR:
        stop -= 1
    text = str(memoryview(data)[start:stop], "latin-1")
    decoder = IncrementalNewlineDecoder(None, True)
    lines = decoder.decode(text, True)
    return len(text) - len(lines) if decoder.newlines in (None, "\r\n") else -1
