"""PURE. A child's octets on its log pipe → lines with a level and a prefix.

A line that begins with LOG_MARK was written by ``roost.events``: one level letter, then text with its own prefix.
Anything else is raw output (a traceback, a complaint of the C library) and becomes an Error under the prefix
``service[pid]: ``. A torn last line waits for its rest; ``finish`` gives it up as it is. Overlong lines are cut.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from roost.proc.contract import LOG_LEVELS, LOG_MARK

LINE_MAX_OCTETS = 8192
_PREFIX = re.compile(r"[A-Za-z0-9_/-]+(?:\(.*?\))?(?:<[^<>]*>)*(?:\[\d+\])?: ")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Line(NamedTuple):
    """One finished line: level letter, prefix ending in ``: ``, text without control characters."""

    level: str
    prefix: str
    text: str
    raw: bool = False
    """Not written through ``roost.events``."""


class Splitter:
    """The lines of one pipe."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._rest = b""

    def feed(self, data: bytes) -> list[Line]:
        """Lines completed by ``data``."""
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        lines: list[Line] = []
        for piece in pieces:
            lines += self._cut(piece)
        if len(self._rest) > LINE_MAX_OCTETS:
            lines += self._cut(self._rest)
            self._rest = b""
        return lines

    def finish(self) -> list[Line]:
        """The torn last line, if there is one."""
        rest, self._rest = self._rest, b""
        return self._cut(rest)

    def _cut(self, piece: bytes) -> list[Line]:
        if piece[:1] == LOG_MARK and piece[1:2] in LOG_LEVELS and len(piece) > 1:
            level, text = piece[1:2].decode(), _text(piece[2 : LINE_MAX_OCTETS + 2])
            match = _PREFIX.match(text)
            if match is None:
                return [Line(level, self._prefix, text)]
            return [Line(level, match.group(), text[match.end() :])]
        if not piece.strip():
            return []
        cuts = range(0, len(piece), LINE_MAX_OCTETS)
        return [Line("E", self._prefix, _text(piece[at : at + LINE_MAX_OCTETS]), raw=True) for at in cuts]


def _text(octets: bytes) -> str:
    text = octets.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else _CONTROL.sub("?", text.rstrip("\r"))
