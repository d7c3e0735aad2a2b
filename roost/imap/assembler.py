"""From a stream of octets to whole command lines (RFC 9051 §2.2.1, §4.3 literals, RFC 7888 LITERAL+).

    literal  = ["~"] "{" number64 ["+"] "}" CRLF *OCTET        ; "+": the client does not wait for our "+ "

Theory of operation. ``feed`` only stores. ``next_event`` returns the next thing to act on, or None when more octets are
needed. A finished command is ``Complete(raw, literals)``: the line with every literal replaced by one LF octet, an
octet no line can contain, and the literals in order. A line ends at LF, with or without CR before it; empty lines
between commands are skipped, since iOS sends them.

Literals up to ``literal_memory_octets`` in all for one command are collected here. A ``Literal`` event comes before the
octets when the client waits for "+ " (``sync``) or when the literal is too big to be collected. The caller then does
one of:

* nothing: it is collected (only if ``fits``); a caller that sees ``sync`` sends "+ OK" first;
* ``take_literal(sink, value)``: its octets go to ``sink`` as they come and ``value`` stands in ``literals``;
* ``discard_literal()``: read and thrown away, ``None`` stands in ``literals``;
* ``refuse()``: only for ``sync``: the client has not sent it and, told NO, will not; the command is forgotten.

A line that is too long takes its whole command with it, also the literals it sends without being asked: what stands in
a literal is never read as a command. A "+" literal of 2**63 octets or more has that size, less one.

Bounds: at most ``max_line_octets`` of line (all pieces of one command together, without literals) and
``literal_memory_octets`` are kept, however the octets are cut; each octet is looked at once or twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LITERAL_MEMORY_OCTETS: Final = 64 * 1024

_LITERAL = re.compile(rb"(~?)\{([0-9]+)(\+?)\}")
# What stands before a literal: text with every quoted string closed, then a space or "(".
_BEFORE_LITERAL = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+(?<=[ (])')
_MAX_LITERAL = (1 << 63) - 1
_MAX_LITERAL_DIGITS = 19
# The end of a line that is not read, where a literal follows unasked.
_SKIPPED_LITERAL = re.compile(rb"[ (]~?\{([0-9]+)\+\}\r?\Z")
_SKIPPED_KEPT_OCTETS = 64
_CR, _CLOSING_BRACE = 0x0D, 0x7D
_LINE_TOO_LONG_KEPT_OCTETS = 256

# What the next octets are; _LINE is false.
_LINE, _SKIP_LINE, _UNDECIDED, _COLLECT, _STREAM = range(5)


class Complete:
    """One command: ``raw`` line without its end, an LF in place of each literal, and the ``literals`` in order."""

    __slots__ = ("literals", "raw")

    def __init__(self, raw: bytes, literals: tuple[object, ...] = ()) -> None:
        self.raw = raw
        self.literals = literals

    def __repr__(self) -> str:
        return f"Complete({self.raw[:80]!r}, {len(self.literals)} literals)"


class Literal:
    """A literal of ``size`` octets is announced.

    ``raw`` and ``literals`` are the command so far (``raw`` ends in LF).
    """

    __slots__ = ("binary", "fits", "literals", "raw", "size", "sync")

    def __init__(
        self, size: int, sync: bool, binary: bool, fits: bool, raw: bytes, literals: tuple[object, ...]
    ) -> None:
        self.size = size
        self.sync = sync
        self.binary = binary
        self.fits = fits
        self.raw = raw
        self.literals = literals

    def __repr__(self) -> str:
        return f"Literal({self.size}, sync={self.sync}, after={self.raw[:80]!r})"


class LineTooLong:
    """The line is longer than allowed. ``start`` is how it begins. What follows is skipped up to the next line end."""

    __slots__ = ("start",)

    def __init__(self, start: bytes) -> None:
        self.start = start


Event = Complete | Literal | LineTooLong


class Assembler:
    """Collects the commands of one connection. Not reentrant."""

    __slots__ = (
        "_buf",
        "_collected_octets",
        "_literals",
        "_missing_octets",
        "_mode",
        "_pos",
        "_raw",
        "_raw_octets",
        "_sink",
        "_skipped",
        "_tail",
        "_value",
        "literal_memory_octets",
        "max_line_octets",
    )

    def __init__(self, max_line_octets: int, *, literal_memory_octets: int = LITERAL_MEMORY_OCTETS) -> None:
        self.max_line_octets = max_line_octets
        self.literal_memory_octets = literal_memory_octets
        self.clear()

    def clear(self) -> None:
        """Forget everything received: what came before a TLS handshake must not be read after it."""
        self._buf = b""  # octets being consumed, from _pos on
        self._pos = 0
        self._tail = bytearray()  # an unfinished line or literal of earlier chunks; then _buf is empty
        self._mode = _LINE
        self._missing_octets = 0  # of the literal being read
        self._sink: Callable[[memoryview], object] | None = None
        self._value: object = None
        self._skipped: bytes | None = None  # inside a command that is thrown away: the end of its last line so far
        self._forget_command()

    def _forget_command(self) -> None:
        self._raw: list[bytes] = []  # finished pieces of a command with literals, each with the LF that stands for one
        self._raw_octets = 0  # octets of line used by them as the client wrote them
        self._literals: list[object] = []
        self._collected_octets = 0

    @property
    def has_buffered(self) -> bool:
        """Octets were fed that no event has covered yet."""
        return bool(self._tail) or self._pos < len(self._buf)

    def more(self) -> bool:
        """After an event: whether octets of the last chunk are left to look at. What is used up is let go."""
        if self._pos < len(self._buf):
            return True
        self._buf = b""
        self._pos = 0
        return False

    def feed(self, chunk: bytes | memoryview) -> None:
        """Store ``chunk`` (copied, except literal octets that go straight to a sink)."""
        if self._mode == _STREAM and self._pos >= len(self._buf):
            sent = min(len(chunk), self._missing_octets)
            view = memoryview(chunk)
            self._stream(view[:sent])
            if sent == len(view):
                return
            chunk = view[sent:]
        if self._tail:
            fresh = bytes(chunk)
            self._tail += fresh
            enough = b"\n" in fresh if self._mode != _COLLECT else len(self._tail) >= self._missing_octets
            if enough:
                self._buf = bytes(self._tail)
                self._pos = 0
                self._tail.clear()
        elif self._pos < len(self._buf):
            self._buf = self._buf[self._pos :] + bytes(chunk)
            self._pos = 0
        else:
            self._buf = bytes(chunk)
            self._pos = 0

    def next_event(self) -> Event | None:
        """The next event, or None: feed more.

        Raises RuntimeError when a literal that does not fit was not decided on.
        """
        while True:
            if self._mode and not self._ready_for_line():
                return None
            buf = self._buf
            start = self._pos
            end = buf.find(b"\n", start)
            if end < 0:
                return self._starve()
            self._pos = end + 1
            stop = end - 1 if buf[end - 1] == _CR and end > start else end
            if stop - start + self._raw_octets > self.max_line_octets:
                too_long = self._too_long(buf[start : start + _LINE_TOO_LONG_KEPT_OCTETS])
                self._skip_literal(buf[max(start, stop - _SKIPPED_KEPT_OCTETS) : stop])
                return too_long
            if stop > start and buf[stop - 1] == _CLOSING_BRACE and (marker := _literal_marker(buf[start:stop])):
                event = self._announce(buf[start:stop], marker)
                if event is not None:
                    return event
            elif self._raw:
                done = Complete(b"".join(self._raw) + buf[start:stop], tuple(self._literals))
                self._forget_command()
                return done
            elif stop > start:
                return Complete(buf[start:stop])

    def next_line(self) -> bytes | LineTooLong | None:
        """A bare line without its end, for SASL responses and DONE: no literals, empty lines count."""
        if self._mode and not self._ready_for_line():
            return None
        start = self._pos
        end = self._buf.find(b"\n", start)
        if end < 0:
            return self._starve()
        self._pos = end + 1
        stop = end - 1 if end > start and self._buf[end - 1] == _CR else end
        if stop - start > self.max_line_octets:
            return self._too_long(self._buf[start : start + _LINE_TOO_LONG_KEPT_OCTETS])
        return self._buf[start:stop]

    def take_literal(self, sink: Callable[[memoryview], object], value: object) -> None:
        """Send the octets of the announced literal to ``sink`` (views valid only during the call)."""
        self._expect(_UNDECIDED)
        self._sink = sink
        self._value = value
        self._mode = _STREAM

    def discard_literal(self) -> None:
        """Read the announced literal and throw it away."""
        self.take_literal(_nowhere, None)

    def refuse(self) -> None:
        """The announced synchronising literal will not be sent; the command is forgotten."""
        self._expect(_UNDECIDED)
        self._mode = _LINE
        self._forget_command()

    def _expect(self, mode: int) -> None:
        if self._mode != mode:
            raise RuntimeError("no literal is waiting for a decision")

    def _announce(self, line: bytes, marker: re.Match[bytes]) -> Literal | None:
        """The line ends in a literal: remember the line; an event if somebody must decide or answer."""
        binary, digits, plus = marker.groups()
        size = _size_of(digits)
        piece = line[: marker.start()] + binary + b"\n"
        self._raw.append(piece)
        self._raw_octets += len(line)
        self._missing_octets = size
        self._mode = _UNDECIDED
        fits = self._collected_octets + size <= self.literal_memory_octets
        if fits and plus:
            return None
        return Literal(size, not plus, bool(binary), fits, b"".join(self._raw), tuple(self._literals))

    def _ready_for_line(self) -> bool:
        """Finish what comes before the next line: a literal, or the rest of a line that was too long."""
        if self._mode == _UNDECIDED:
            if self._collected_octets + self._missing_octets > self.literal_memory_octets:
                raise RuntimeError("a literal that does not fit must be taken, discarded or refused")
            self._collected_octets += self._missing_octets
            self._mode = _COLLECT
        if self._mode == _COLLECT:
            stop = self._pos + self._missing_octets
            if stop > len(self._buf):
                self._starve()
                return False
            self._literals.append(self._buf[self._pos : stop])
            self._pos = stop
        elif self._mode == _STREAM:
            if self._missing_octets:
                sent = min(len(self._buf) - self._pos, self._missing_octets)
                self._stream(memoryview(self._buf)[self._pos : self._pos + sent])
                self._pos += sent
                if self._missing_octets:
                    return False
            if self._skipped is not None:
                self._mode = _SKIP_LINE
                return self._skip_command()
            self._literals.append(self._value)
            self._sink = self._value = None
        else:
            return self._skip_command()
        self._mode = _LINE
        return True

    def _skip_command(self) -> bool:
        """Throw away up to the end of a line, and the literals and lines that belong to it. False: it has not come."""
        while True:
            buf = self._buf
            start = self._pos
            end = buf.find(b"\n", start)
            stop = end if end >= 0 else len(buf)
            before = self._skipped or b""
            self._skipped = (before + buf[max(start, stop - _SKIPPED_KEPT_OCTETS) : stop])[-_SKIPPED_KEPT_OCTETS:]
            if end < 0:
                self._buf = b""
                self._pos = 0
                return False
            self._pos = end + 1
            self._mode = _LINE
            self._skip_literal(self._skipped)
            if not self._mode:
                return True
            sent = min(len(buf) - self._pos, self._missing_octets)
            self._missing_octets -= sent
            self._pos += sent
            if self._missing_octets:
                return False
            self._mode = _SKIP_LINE

    def _skip_literal(self, line_end: bytes) -> None:
        """A line of a command that is thrown away has ended so: a literal may follow, and then more of the command."""
        marker = _SKIPPED_LITERAL.search(line_end)
        if marker is None:
            self._skipped = None
            return
        self._skipped = b""
        self._missing_octets = _size_of(marker[1])
        self._sink = _nowhere
        self._mode = _STREAM

    def _stream(self, view: memoryview) -> None:
        if view and self._sink is not None:
            self._missing_octets -= len(view)
            self._sink(view)

    def _starve(self) -> LineTooLong | None:
        """Nothing whole is left: keep the rest apart, so that the next chunk is not searched from the start again."""
        if self._pos < len(self._buf):
            self._tail += self._buf[self._pos :]
        self._buf = b""
        self._pos = 0
        if self._mode == _LINE and len(self._tail) + self._raw_octets > self.max_line_octets + 1:
            start = bytes(self._tail[:_LINE_TOO_LONG_KEPT_OCTETS])
            self._skipped = bytes(self._tail[-_SKIPPED_KEPT_OCTETS:])
            self._tail.clear()
            self._mode = _SKIP_LINE
            return self._too_long(start)
        return None

    def _too_long(self, start: bytes) -> LineTooLong:
        event = LineTooLong((self._raw[0] if self._raw else start)[:_LINE_TOO_LONG_KEPT_OCTETS])
        self._forget_command()
        return event


def _literal_marker(line: bytes) -> re.Match[bytes] | None:
    """The marker of the literal that ends ``line``, or None when it only looks like one (in a quoted string, too
    big)."""
    brace = line.rfind(b"{")
    if brace < 0:
        return None
    start = brace - 1 if brace and line[brace - 1 : brace] == b"~" else brace
    marker = _LITERAL.fullmatch(line, start)
    if marker is None or not _BEFORE_LITERAL.fullmatch(line, 0, start):
        return None
    if len(marker[2]) >= _MAX_LITERAL_DIGITS and not marker[3] and _digits_value(marker[2]) > _MAX_LITERAL:
        return None  # nothing comes until we ask for it, and we will not
    return marker


def _digits_value(digits: bytes) -> int:
    """Of any number of digits; above ``_MAX_LITERAL`` only that it is."""
    significant = digits.lstrip(b"0")
    return int(significant or b"0") if len(significant) <= _MAX_LITERAL_DIGITS else _MAX_LITERAL + 1


def _size_of(digits: bytes) -> int:
    return int(digits) if len(digits) < _MAX_LITERAL_DIGITS else min(_digits_value(digits), _MAX_LITERAL)


def _nowhere(view: memoryview) -> None:
    pass
