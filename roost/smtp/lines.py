"""Command lines out of a stream of octets (RFC 5321 §2.3.8, §4.5.3.1.4).

A line ends with LF; a CR before it belongs to the end. (A bare LF is harmless between commands: only inside
a message could it move the end, and there ``roost.smtp.data`` decides.) An over-long line is thrown away while it
arrives, so memory stays bounded, and is reported once, when its end has come.
"""

from __future__ import annotations

from roost.errors import Malformed


class LineReader:
    """Keeps what has arrived and hands out one line after the other.

    ``max_line_octets`` counts the line without its end. What the caller feeds in one go is kept whole; how much may
    wait unread is the caller's business (``pending_octets``).
    """

    __slots__ = ("_at", "_buffer", "_max", "_scanned", "_skipping")

    def __init__(self, max_line_octets: int) -> None:
        self._max = max_line_octets
        self._buffer = b""
        self._at = 0  # start of the next line
        self._scanned = 0  # no LF between _at and here
        self._skipping = False  # inside an over-long line

    @property
    def pending_octets(self) -> int:
        """Octets fed and not yet handed out."""
        return len(self._buffer) - self._at

    def feed(self, chunk: bytes) -> None:
        """Take what has arrived."""
        if self._at == len(self._buffer):
            self._buffer = chunk
            self._at = self._scanned = 0
        else:
            self._scanned -= self._at
            self._buffer = self._buffer[self._at :] + chunk
            self._at = 0

    def next_line(self) -> bytes | None:
        """The next line without its end, or None when it is not complete yet.

        Raises Malformed (LINE_TOO_LONG), once for every line above the limit; the line is gone then.
        """
        at = self._at
        buffer = self._buffer
        end = buffer.find(b"\n", max(at, self._scanned))
        if end < 0:
            if self._skipping or len(buffer) - at > self._max + 1:  # + 1: the CR of a line of exactly the limit
                self._skipping = True
                self._buffer = b""
                self._at = self._scanned = 0
            else:
                self._scanned = len(buffer)
            return None
        self._at = self._scanned = end + 1
        stop = end - 1 if end > at and buffer[end - 1] == 13 else end
        if self._skipping or stop - at > self._max:
            self._skipping = False
            raise Malformed("Line too long", code="LINE_TOO_LONG")
        return buffer[at:stop]

    def take(self) -> bytes:
        """Everything not handed out yet, leaving nothing: a message begins, or STARTTLS throws it away."""
        rest = self._buffer[self._at :] if self._at else self._buffer
        self._buffer = b""
        self._at = self._scanned = 0
        return rest
