"""TAB-separated, escaped lines: the form of every text protocol between Roost's processes.

One message is one line ended by LF; its fields are separated by TAB. Inside a field the five octets that would
break this form are written as two: ``\\x01`` followed by a letter (Dovecot's ``str_tabescape``):

    ===== ==========
    NUL   \\x01 0
    \\x01  \\x01 1
    TAB   \\x01 t
    CR    \\x01 r
    LF    \\x01 n
    ===== ==========

So no field, whatever octets a client managed to put into it, can start a new field or a new line.
``decode`` accepts any octets: an unknown escape stands for the octet after ``\\x01``, a lone last ``\\x01`` is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from roost.errors import Malformed

MAX_LINE_OCTETS = 16384  # with the LF; longer lines end the connection

_ESCAPES = {b"\x00": b"\x010", b"\x01": b"\x011", b"\t": b"\x01t", b"\r": b"\x01r", b"\n": b"\x01n"}
_UNESCAPES = {b"0": b"\x00", b"1": b"\x01", b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_unsafe = re.compile(rb"[\x00\x01\t\r\n]")
_unsafe_line = re.compile(rb"[\x00\x01\r\n]")
_escape_pair = re.compile(rb"\x01(.?)", re.DOTALL)


def escape(field: bytes) -> bytes:
    """One field with the five special octets escaped."""
    if _unsafe.search(field) is None:
        return field
    return _unsafe.sub(lambda match: _ESCAPES[match[0]], field)


def unescape(field: bytes) -> bytes:
    """The inverse of ``escape``; never fails."""
    if b"\x01" not in field:
        return field
    return _escape_pair.sub(lambda match: _UNESCAPES.get(match[1], match[1]), field)


def encode(*fields: bytes | str) -> bytes:
    """One line with its LF. ``str`` fields go as UTF-8 (lone surrogates as the octets they stand for)."""
    try:
        line = "\t".join(fields).encode("utf-8", "surrogateescape")  # type: ignore[arg-type]  # bytes: TypeError
    except TypeError:
        pass
    else:
        if _unsafe_line.search(line) is None and line.count(b"\t") == len(fields) - 1:
            return line + b"\n"
    return b"\t".join(escape(field if isinstance(field, bytes) else to_octets(field)) for field in fields) + b"\n"


def encode_bounded(*fields: bytes | str, max_octets: int = MAX_LINE_OCTETS) -> bytes:
    """Like ``encode``; raises Malformed when the receiver would refuse the line for its length."""
    line = encode(*fields)
    if len(line) > max_octets:
        raise Malformed("Request is too long.", detail=f"{len(line)} octets where {max_octets} are allowed")
    return line


def decode(line: bytes) -> list[bytes]:
    """The fields of one line (without its LF), unescaped. An empty line is one empty field."""
    if b"\x01" in line:
        return [unescape(field) for field in line.split(b"\t")]
    return line.split(b"\t")


def decode_text(line: bytes) -> list[str]:
    """Like ``decode``, as text; octets that are not UTF-8 become lone surrogates and survive ``encode``."""
    return [to_text(field) for field in decode(line)]


def to_octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def to_text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


class LineSplitter:
    """Cuts a stream into lines; keeps at most one unfinished line of ``max_octets``."""

    __slots__ = ("_max_octets", "_rest")

    def __init__(self, max_octets: int = MAX_LINE_OCTETS) -> None:
        self._max_octets = max_octets
        self._rest = b""

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[bytes]:
        """The lines finished by ``chunk``, without LF.

        Raises Malformed when a line exceeds the limit: the stream cannot be continued then.
        """
        data = self._rest + chunk
        lines = data.split(b"\n")
        self._rest = lines.pop()
        limit = self._max_octets - 1
        if len(data) > limit and (len(self._rest) > limit or any(len(line) > limit for line in lines)):
            self._rest = b""
            raise Malformed("Line is too long.", detail=f"more than {self._max_octets} octets")
        return lines

    @property
    def pending_octets(self) -> int:
        """Octets of the line that is not finished yet."""
        return len(self._rest)


def pairs(fields: Iterable[str]) -> dict[str, str]:
    """``key=value`` fields as a mapping; a bare ``key`` maps to "". The last of equal keys wins."""
    result: dict[str, str] = {}
    for field in fields:
        key, _, value = field.partition("=")
        result[key] = value
    return result
