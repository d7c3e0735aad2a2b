"""Header fields (RFC 5322 §2.2, §3.6.8): found by one pattern, compared without regard to case, never re-written.

    field = field-name ":" unstructured CRLF        field-name = 1*%d33-126 except ":"        CRLF WSP continues a field

Lines end in LF, with or without CR. A line that is no field (no colon, a stray "From ") is skipped, not an end: only
the empty line ends a header. Linear time for any octets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

# One step over a header block: a whole field with its name and value, or (names empty) a line that is none.
_FIELD = re.compile(rb"(?:([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)|[^\n]++)\n?|\n")
_RAW_FIELD = re.compile(rb"((?:([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+|[^\n]++)\n?|\n)")

MAX_HEADER_OCTETS: Final = 1024 * 1024
MAX_FIELDS: Final = 10_000
_TAB_IS_SPACE = bytes.maketrans(b"\t", b" ")
_LAST_COUNTS = frozenset((b"date", b"subject", b"in-reply-to", b"message-id"))
_ALL_COUNT = _LAST_COUNTS | {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"}
_USUAL_LINE_OCTETS = 6  # below this on average the lines are counted
# A block above this is walked field by field: a list of all its matches would be many times as big.
_MANY_OCTETS = 64 * 1024

_BETWEEN_FIELDS = re.compile(rb"\n(?![ \t])")
_NAME = re.compile(rb"([!-9;-~]++)[ \t]*+")
# What ENVELOPE and BODYSTRUCTURE are made of.
DESCRIBING: Final = _ALL_COUNT | {
    b"content-type", b"content-transfer-encoding", b"content-id", b"content-description", b"content-md5",
    b"content-disposition", b"content-language", b"content-location",
}  # fmt: skip
_MAX_SPELLINGS = 2000
_SPELLING_OCTETS = 64
# Bounded memory of what stood before a colon: in lower case, or empty when it is no name.
_spellings = {spelling: name for name in DESCRIBING for spelling in (name, name.title())}


def describing_fields(block: bytes) -> tuple[dict[bytes, bytes], list[bytes], list[bytes]]:
    """``(fields, lines, names)`` of a header block without empty lines and without its last LF.

    ``fields`` is as ``field_values`` makes it, of the names alone that describe a message or part. ``lines`` are the
    fields as they came, each without its last LF, and ``names`` theirs in lower case, empty for a line that is none
    and for a name of more than 64 octets.
    """
    fields: dict[bytes, bytes] = {}
    keep_first = fields.setdefault
    repeated: dict[bytes, list[bytes]] = {}
    spelled = _spellings.get
    names = []
    lines = _BETWEEN_FIELDS.split(block)
    for line in lines:
        written, colon, value = line.partition(b":")
        name = spelled(written) if colon else b""
        if name is None:
            name = _name_of(written)
        names.append(name)
        if name in DESCRIBING:
            value = value.lstrip(b" \t")
            if keep_first(name, value) is not value and name in _ALL_COUNT:
                repeated.setdefault(name, [fields[name]]).append(value)
    if repeated:
        _merge(fields, repeated)
    return fields, lines, names


def _name_of(written: bytes) -> bytes:
    match = _NAME.fullmatch(written)
    name = match[1].lower() if match else b""
    if len(name) > _SPELLING_OCTETS:  # names are kept, so each must be short
        name = b""
    if len(written) <= _SPELLING_OCTETS and len(_spellings) < _MAX_SPELLINGS:
        _spellings[written] = name
    return name


def _merge(fields: dict[bytes, bytes], repeated: dict[bytes, list[bytes]]) -> None:
    """Fields that came more than once: the last text, all the addresses."""
    for name, values in repeated.items():
        fields[name] = values[-1] if name in _LAST_COUNTS else b",".join(values)


def field_values(
    data: bytes, start: int = 0, stop: int | None = None, max_fields: int = MAX_FIELDS
) -> dict[bytes, bytes]:
    """The fields of a header block: lower-case name → raw value (folded as it came).

    Of a repeated field the first counts; but all addresses do, and of the texts in an ENVELOPE the last does, as with
    Dovecot. Lines after the first ``max_fields`` are not looked at.
    """
    fields: dict[bytes, bytes] = {}
    keep_first = fields.setdefault
    repeated: dict[bytes, list[bytes]] = {}
    for name, value in _steps(_FIELD, data, start, len(data) if stop is None else stop, max_fields):
        name = name.lower()
        if keep_first(name, value) is not value and name in _ALL_COUNT:
            repeated.setdefault(name, [fields[name]]).append(value)
    _merge(fields, repeated)
    fields.pop(b"", None)
    return fields


def all_fields(
    data: bytes, start: int = 0, stop: int | None = None, max_fields: int = MAX_FIELDS
) -> list[tuple[bytes, bytes]]:
    """Every field in order, up to ``max_fields`` lines: (lower-case name, raw value)."""
    found = _steps(_FIELD, data, start, len(data) if stop is None else stop, max_fields)
    return [(name.lower(), value) for name, value in found if name]


def _steps(
    pattern: re.Pattern[bytes], data: bytes, start: int, stop: int, max_steps: int
) -> Iterable[tuple[bytes, bytes]]:
    """The two groups of each match of ``pattern`` one after another over a block; unmatched groups are empty."""
    octets = stop - start
    if octets <= _MANY_OCTETS and octets <= max_steps * _USUAL_LINE_OCTETS:
        return pattern.findall(data, start, stop)
    return (match.groups(b"") for match in islice(pattern.finditer(data, start, stop), max_steps))  # type: ignore[misc]


def unfold(raw_value: bytes) -> bytes:
    """A raw value on one line, without the white space around it: each fold and each TAB is one space.

    NULs go: no IMAP string can carry them.
    """
    value = raw_value.strip(b" \t\r\n\x00")
    if b"\n" in value:
        value = b" ".join(map(bytes.strip, value.split(b"\n")))
    return value.translate(_TAB_IS_SPACE, b"\r\x00")


def unescape(text: bytes) -> bytes:
    """The content of a quoted string or comment without its backslashes; ``text`` holds no NUL (``unfold``)."""
    return text.replace(b"\\\\", b"\x00").replace(b"\\", b"").replace(b"\x00", b"\\") if b"\\" in text else text


def find(data: bytes, name: bytes, start: int = 0, stop: int | None = None) -> bytes | None:
    """The unfolded value of the first field ``name`` (lower case), or None."""
    value = field_values(data, start, stop).get(name)
    return None if value is None else unfold(value)


def select_fields(
    data: bytes, names: Collection[bytes], start: int = 0, stop: int | None = None, *, invert: bool = False
) -> bytes:
    """The raw fields whose lower-case name is in ``names`` (or, inverted, everything else), in message order.

    Each ends in CRLF as it came (CRLF is added to a last one without); the empty line is not included: the caller
    adds it. ``names`` is best a set.
    """
    end = min(header_stop(data, start, stop), start + MAX_HEADER_OCTETS)
    found = _steps(_RAW_FIELD, data, start, end, MAX_HEADER_OCTETS)
    if invert:
        chosen = [raw for raw, name in found if name.lower() not in names]
    else:
        chosen = [raw for raw, name in found if name and name.lower() in names]
    if chosen and not chosen[-1].endswith(b"\n"):
        chosen[-1] += b"\r\n"
    return b"".join(chosen)


def header_stop(data: bytes, start: int = 0, stop: int | None = None) -> int:
    """Where the fields of the header that begins at ``start`` end: before the empty line, or at ``stop``."""
    return header_ends(data, start, len(data) if stop is None else stop)[0]


def header_ends(data: bytes, start: int, stop: int, crlf: int | None = None) -> tuple[int, int]:
    """``(end of the fields, start of the body)``: before and after the empty line, both ``stop`` when there is none.

    ``crlf`` is where LF CR LF comes next from ``start`` on, if the caller knows (``len(data)`` or more: nowhere).
    """
    if data.startswith(b"\r\n", start, stop):
        return start, start + 2
    if data.startswith(b"\n", start, stop):
        return start, start + 1
    if crlf is None:
        crlf = data.find(b"\n\r\n", start, stop)
    found = 0 <= crlf <= stop - 3
    bare = data.find(b"\n\n", start, crlf if found else stop)
    if bare >= 0:
        return bare + 1, bare + 2
    return (crlf + 1, crlf + 3) if found else (stop, stop)
