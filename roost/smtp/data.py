r"""The content of a message on the wire: after DATA, and in BDAT chunks (RFC 5321 §4.1.1.4, §4.5.2; RFC 3030 §2).

The end of DATA is exactly ``CR LF . CR LF`` and nothing else: not ``LF . LF``, not ``LF . CR LF``, not ``CR . CR``
(two systems that disagree here let one message smuggle another). Inside the message a bare LF becomes CR LF,
since stored lines end so; a bare CR, NUL, 8-bit octets and lines of any length stay as they are. A dot is removed only
where the sender must have added it: after a true CR LF.

Both readers take whole chunks, as they come, and cost a few C-speed passes over each; between chunks they keep at
most four octets.
"""

from __future__ import annotations

import re

_END = b"\r\n.\r\n"
_DOT_LINE = b"\r\n."
_BARE_LF = re.compile(rb"(?<!\r)\n")


def _normal_lines(octets: bytes) -> bytes:
    """Bare LF to CR LF; the same object when there is none. ``octets`` must not begin after a CR."""
    if octets.count(b"\n") == octets.count(b"\r\n"):
        return octets
    return _BARE_LF.sub(b"\r\n", octets)


class DataReader:
    """What follows ``354``: ``feed`` chunks until ``rest`` is not None.

    ``feed`` returns the octets of the message that are certain now, dots unstuffed. ``rest`` is then what came after
    the end (pipelined commands).
    """

    __slots__ = ("_held", "_skip", "rest")

    def __init__(self) -> None:
        self._held = b"\r\n"  # as if the message began after a line: a lone dot ends it at once
        self._skip = 2  # … but these two octets are not part of it
        self.rest: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Must not be called again once ``rest`` is set."""
        octets = self._held + chunk
        dot = octets.find(_DOT_LINE)  # most messages have one: the end
        end = octets.find(_END, dot) if dot >= 0 else -1
        if end >= 0:
            self.rest = octets[end + 5 :]
            octets = octets[: end + 2]
        else:
            held = _undecided(octets)
            if held:
                self._held = octets[-held:]
                octets = octets[:-held]
            else:
                self._held = b""
        if dot != end:
            octets = octets.replace(_DOT_LINE, b"\r\n")
        octets = _normal_lines(octets)
        if self._skip and octets:
            octets = octets[2:]
            self._skip = 0
        return octets


def _undecided(octets: bytes) -> int:
    """How many of the last octets could be the beginning of the end."""
    for length in (4, 3, 2, 1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class ChunkReader:
    """One or more BDAT chunks: octets counted, not scanned; bare LF becomes CR LF here too.

    ``expect(n)`` announces a chunk; ``feed`` returns the octets to store; ``rest`` is not None once the announced
    octets are complete. A CR at the end of a chunk is held until the next octet or ``finish``.
    """

    __slots__ = ("_held", "_wanted", "rest")

    def __init__(self) -> None:
        self._held = b""
        self._wanted = 0
        self.rest: bytes | None = b""

    def expect(self, size_octets: int) -> None:
        self._wanted = size_octets
        self.rest = None

    def feed(self, chunk: bytes) -> bytes:
        if len(chunk) >= self._wanted:
            self.rest = chunk[self._wanted :]
            chunk = chunk[: self._wanted]
        self._wanted -= len(chunk)
        octets = self._held + chunk if self._held else chunk
        if octets.endswith(b"\r"):
            self._held = b"\r"
            octets = octets[:-1]
        else:
            self._held = b""
        return _normal_lines(octets)

    def finish(self) -> bytes:
        """After the last chunk: what was still held."""
        held, self._held = self._held, b""
        return held
