"""A message as a tree of parts (RFC 2045, RFC 2046): octet offsets into the message, nothing copied.

``parse`` walks forward once with a stack of its own, so depth in the message is never depth in Python. Beyond
``Limits``, a part that would have had parts of its own is shown as one application/octet-stream of everything that is
left.

A delimiter is a whole line "--" boundary, optionally "--", optionally white space. The line end before it belongs to
it. The innermost multipart wins when boundaries are equal. A multipart without a boundary, or a Content-Type that
cannot be read, is text/plain (RFC 2045 §5.2); inside multipart/digest the default is message/rfc822.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from roost.mime import parameters
from roost.mime.header import MAX_FIELDS, MAX_HEADER_OCTETS, describing_fields, field_values, header_ends
from roost.mime.lines import WINDOW_OCTETS
from roost.mime.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one message: nesting, and in all its parts together parts, octets and lines of headers looked at."""

    max_depth: int = 100
    max_parts: int = 10_000
    max_header_octets: int = MAX_HEADER_OCTETS
    max_fields: int = MAX_FIELDS


DEFAULT_LIMITS: Final = Limits()

# Work is counted in octets searched; checking one delimiter candidate counts as much as searching this many.
_CANDIDATE_WORK = 1000
_BASE_WORK = 20_000_000
_WORK_PER_OCTET = 10

_LONG_HEADER_OCTETS = 4096
_SHORT_OCTETS = 16 * 1024

_DELIMITER_END = re.compile(rb"(--)?[ \t\r]*+(?=\n|\Z)")
_CR = 0x0D
_SPACE = 0x20

_US_ASCII: Parameters = ((b"charset", b"us-ascii"),)
_RFC822: Final[tuple[bytes, bytes, Parameters]] = (b"message", b"rfc822", ())
_TEXT_PLAIN: Final[tuple[bytes, bytes, Parameters]] = (b"text", b"plain", _US_ASCII)
_OCTET_STREAM: Final[tuple[bytes, bytes, Parameters]] = (b"application", b"octet-stream", ())


class Part:
    """One part. Header ``start`` to ``body``, with its empty line; body from ``body`` to ``stop``.

    ``fields`` are raw values by lower-case name (``header.field_values``), those of the names that describe it at
    least. ``header`` is the lines and names of the header (``header.describing_fields``) of the message itself when it
    was read as a whole, the usual case. ``lines`` counts the line ends of the
    body of text and message/rfc822 parts (0 for others). ``children`` are the parts of a multipart, or the one message
    in a message/rfc822, whose header begins where this part's body does.
    """

    __slots__ = ("body", "children", "fields", "header", "lines", "parameters", "start", "stop", "subtype", "type")

    def __init__(self, start: int) -> None:
        self.start = start
        self.body = start
        self.stop = start
        self.lines = 0
        self.type = b"text"
        self.subtype = b"plain"
        self.parameters: Parameters = ()
        self.fields: dict[bytes, bytes] = {}
        self.header: tuple[list[bytes], list[bytes]] | None = None
        self.children: list[Part] = []

    @property
    def is_multipart(self) -> bool:
        return self.type == b"multipart"

    @property
    def is_message(self) -> bool:
        return self.type == b"message" and self.subtype == b"rfc822"

    def __repr__(self) -> str:
        kind = b"%s/%s" % (self.type, self.subtype)
        return f"Part({kind.decode('ascii', 'replace')} {self.start}:{self.body}:{self.stop} {self.children})"


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS, marks: list[int] | None = None) -> Part:
    """The tree of the message ``data``. Never raises for what is in it. ``marks``: ``lines.marks`` of it, if known."""
    root = Part(0)
    lines, names = _read_header(data, root, len(data), limits.max_header_octets, limits.max_fields, _TEXT_PLAIN)
    if lines:
        root.header = lines, names
    if root.type == b"multipart" or root.is_message:
        _Walk(data, limits, marks).run(root)
    else:
        root.stop = len(data)
        if root.type == b"text":
            if marks is None:
                root.lines = data.count(b"\n", root.body)
            else:
                root.lines = marks[-1] - data.count(b"\n", 0, root.body)
    return root


def _read_header(
    data: bytes,
    part: Part,
    stop: int,
    max_octets: int,
    max_fields: int,
    default: tuple[bytes, bytes, Parameters],
    crlf: int = -1,
) -> tuple[list[bytes], list[bytes]]:
    """Set ``body``, ``fields`` and the type of ``part``; its header ends at ``stop`` at the latest.

    ``crlf`` is where LF CR LF comes next; -1: not known. The answer is as ``Part.header``, empty lists for None.
    """
    start = part.start
    if crlf < 0 and (crlf := data.find(b"\n\r\n", start, stop)) < 0:
        crlf = len(data)
    octets = crlf - start
    lines: list[bytes] = []
    names: list[bytes] = []
    # The usual header: not long, begins with a name, and ends in CR LF. An empty line in it is seen by what it leaves.
    if 0 < octets <= min(max_octets, max_fields, _SHORT_OCTETS) and crlf <= stop - 3 and data[start] > _SPACE:
        part.fields, lines, names = describing_fields(data[start:crlf])
    if lines and min(lines) > b"\n\xff":
        part.body = crlf + 3
    else:
        lines = names = []
        fields_stop, part.body = header_ends(data, start, stop, crlf)
        part.fields = field_values(data, start, min(fields_stop, start + max_octets), max_fields)
    raw_type = part.fields.get(b"content-type")
    found = parameters.content_type(raw_type)
    if found is None:
        found = default if raw_type is None else _TEXT_PLAIN
    part.type, part.subtype, part.parameters = found
    return lines, names


class _Frame:
    """A part that is still open: a message/rfc822 (``needle`` empty) or a multipart and where its next delimiter is."""

    __slots__ = ("closes", "line_end", "lines_before", "needle", "next", "part")

    def __init__(self, part: Part, needle: bytes, lines_before: int) -> None:
        self.part = part
        self.needle = needle  # LF "--" boundary; empty again after the closing delimiter
        self.lines_before = lines_before
        self.next = -1  # offset of the LF before the next delimiter; -1 not searched yet; beyond the end: none
        self.line_end = 0
        self.closes = False


class _Walk:
    """The parts of a multipart or message/rfc822, read forward with a stack of the open ones."""

    def __init__(self, data: bytes, limits: Limits, marks: list[int] | None) -> None:
        self.data = data
        self.marks = marks
        self.limits = limits
        self.stack: list[_Frame] = []
        self.leaf: Part | None = None  # the open part that can have no parts
        self.leaf_lines_before = 0
        self.pos = 0  # delimiters before this have been dealt with
        self.parts_left = limits.max_parts - 1
        self.header_octets_left = limits.max_header_octets
        self.fields_left = limits.max_fields
        self.work_left = _BASE_WORK + _WORK_PER_OCTET * len(data)
        self.crlf = -1  # where LF CR LF comes next
        self.lines = 0  # line ends before lines_at
        self.lines_at = 0

    def run(self, root: Part) -> None:
        data = self.data
        self._count_header(root, root.header[0] if root.header else [])
        self._enter(root)
        while (level := self._next_delimiter()) is not None:
            frame = self.stack[level]
            if (not frame.closes and not self.parts_left) or self.work_left < 0:
                if self.leaf is not None:
                    self.leaf.type, self.leaf.subtype, self.leaf.parameters = _OCTET_STREAM
                break
            at = frame.next
            self._close(level + 1, at - 1 if data[at - 1] == _CR else at)
            self.pos = frame.line_end
            if frame.closes:
                frame.needle = b""
            else:
                self._enter(self._child(frame.part, frame.line_end + 1))
        self._close(0, len(data))

    def _enter(self, part: Part) -> None:
        """Open ``part``, whose header has been read, and the messages directly inside it."""
        while True:
            self.pos = max(part.body - 1, 0)
            nested = len(self.stack) >= self.limits.max_depth
            if part.type == b"multipart":
                boundary = parameters.get(part.parameters, b"boundary")
                if boundary and not nested:
                    self.stack.append(_Frame(part, b"\n--" + boundary.rstrip(), 0))
                    return
                part.type, part.subtype, part.parameters = _OCTET_STREAM if boundary else _TEXT_PLAIN
            elif part.is_message:
                if self.parts_left and not nested:
                    self.stack.append(_Frame(part, b"", self._lines_before(part.body)))
                    part = self._child(part, part.body)
                    continue
                part.type, part.subtype, part.parameters = _OCTET_STREAM
            self.leaf = part
            if part.type == b"text":
                self.leaf_lines_before = self._lines_before(part.body)
            return

    def _child(self, parent: Part, start: int) -> Part:
        """A new part of ``parent`` with its header read."""
        data = self.data
        part = Part(start if start < len(data) else len(data))
        parent.children.append(part)
        self.parts_left -= 1
        self.pos = start - 1 if start else 0
        level = self._next_delimiter()
        stop = len(data) if level is None else self.stack[level].next + 1
        if self.crlf < part.start:  # kept, so that parts without an empty line do not search the same octets again
            found = data.find(b"\n\r\n", part.start)
            self.crlf = found if found >= 0 else len(data)
        default = _RFC822 if parent.type == b"multipart" and parent.subtype == b"digest" else _TEXT_PLAIN
        octets = self.header_octets_left if self.header_octets_left > 0 else 0
        fields = self.fields_left if self.fields_left > 0 else 0
        lines, _ = _read_header(data, part, stop, octets, fields, default, self.crlf)
        self._count_header(part, lines)
        return part

    def _count_header(self, part: Part, lines: list[bytes]) -> None:
        octets = part.body - part.start
        self.header_octets_left -= octets
        if lines:
            self.fields_left -= len(lines)
        elif octets < _LONG_HEADER_OCTETS:  # only a long one can hold many lines that are not in ``fields``
            self.fields_left -= len(part.fields)
        else:
            self.fields_left -= self.data.count(b"\n", part.start, part.body)

    def _close(self, level: int, stop: int) -> None:
        """Everything above ``level`` of the stack ends at ``stop``, or where its header does if that is later."""
        leaf = self.leaf
        if leaf is not None:
            stop = leaf.stop = max(stop, leaf.body)
            if leaf.type == b"text":
                leaf.lines = self._lines_before(stop) - self.leaf_lines_before
            self.leaf = None
        while len(self.stack) > level:
            frame = self.stack.pop()
            part = frame.part
            stop = part.stop = max(stop, part.body)
            if part.type == b"message":
                part.lines = self._lines_before(stop) - frame.lines_before

    def _next_delimiter(self) -> int | None:
        """The level of the frame whose delimiter comes next at or after ``pos``, the innermost if they tie, or None."""
        found = None
        limit = len(self.data)
        for level, frame in enumerate(self.stack):
            if not frame.needle:
                continue
            if frame.next < self.pos:
                self._search(frame, limit)
            if frame.next <= limit:
                found = level
                limit = frame.next
        return found

    def _search(self, frame: _Frame, limit: int) -> None:
        """Find the next delimiter of ``frame`` that is not after ``limit``.

        Beyond that an outer part has ended anyway.
        """
        data = self.data
        needle = frame.needle
        at = self.pos
        stop = limit + len(needle)
        while (found := data.find(needle, at, stop)) >= 0:
            self.work_left -= found - at + _CANDIDATE_WORK
            line = _DELIMITER_END.match(data, found + len(needle))
            if line is not None:
                frame.next = found
                frame.line_end = line.end()
                frame.closes = line[1] is not None
                return
            if self.work_left < 0:
                break
            at = found + 1
        else:
            self.work_left -= limit - at
        frame.next = len(data) + 1

    def _lines_before(self, offset: int) -> int:
        """Line ends before ``offset``, which never goes back: each octet is counted once."""
        if offset > self.lines_at:
            if self.marks is not None and offset // WINDOW_OCTETS > self.lines_at // WINDOW_OCTETS:
                self.lines = self.marks[offset // WINDOW_OCTETS]
                self.lines_at = offset // WINDOW_OCTETS * WINDOW_OCTETS
            self.lines += self.data.count(b"\n", self.lines_at, offset)
            self.lines_at = offset
        return self.lines
