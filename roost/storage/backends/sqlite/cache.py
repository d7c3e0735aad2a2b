"""The common header fields of a message in a compact form, so that FETCH of them never touches the body.

A block is: how many fields (1 octet) · their codes in message order (an octet each) · where each begins, and where the
last one ends (4 octets each, from the start of the block) · the raw fields, each ending in CRLF.

Two messages from the same program have the same codes, so "which positions does this request want" is remembered by
codes, and neighbouring fields are taken as one slice.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from functools import lru_cache
from itertools import compress

# The stored names. A code is a position in this list: append only.
FIELDS = (
    b"from", b"to", b"cc", b"bcc", b"subject", b"date", b"message-id", b"in-reply-to", b"references", b"reply-to",
    b"sender", b"content-type", b"content-transfer-encoding", b"content-description", b"mime-version", b"list-id",
    b"list-post", b"list-unsubscribe", b"x-priority", b"priority", b"importance", b"newsgroups", b"lines",
    b"disposition-notification-to", b"mail-followup-to", b"mail-reply-to", b"x-label", b"x-draft-info", b"user-agent",
    b"resent-date", b"resent-from", b"delivered-to", b"return-path", b"list-subscribe",
    b"auto-submitted", b"precedence",
)  # fmt: skip

_CODES = {name: code for code, name in enumerate(FIELDS)}
_NOT_STORED = -1
_USUAL_LINES = 64  # how a header up to this is arranged is remembered
_CODE_AS_WRITTEN: dict[bytes, int] = {}  # bounded memory of the spellings met: "Message-ID" -> code
_FIELD = re.compile(rb"(([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?)|[^\n]*+\n?")

MAX_FIELDS = 255
MAX_BLOCK_OCTETS = 16_384  # a larger one is not stored: the header is read from the body instead

_layouts = [struct.Struct(f"<{n + 1}I") for n in range(MAX_FIELDS + 1)]


def encode_fields(data: bytes, fields_stop: int) -> bytes | None:
    """The block of a message whose header fields end at ``fields_stop``, or None when it is not to be stored."""
    codes = bytearray()
    offsets = [0]
    chunks = []
    size = 0
    for raw, name in _FIELD.findall(data, 0, fields_stop):
        code = _CODE_AS_WRITTEN.get(name)
        if code is None:
            code = _code_of(name)
        if code == _NOT_STORED:
            continue
        if raw[-1] != 10:
            raw += b"\r\n"
        codes.append(code)
        chunks.append(raw)
        size += len(raw)
        offsets.append(size)
    count = len(codes)
    if count > MAX_FIELDS or size > MAX_BLOCK_OCTETS:
        return None
    start = 1 + count + 4 * (count + 1)
    return b"%c%b%b%b" % (count, bytes(codes), _layouts[count].pack(*[start + at for at in offsets]), b"".join(chunks))


def encode_lines(lines: list[bytes], names: list[bytes]) -> bytes | None:
    """The same from lines that each lack their last LF, and their lower-case names (``Part.header``)."""
    arranged = (_arranged if len(names) <= _USUAL_LINES else _arranged.__wrapped__)(tuple(names))
    if arranged is None:
        return None
    wanted, count_and_codes, layout, at = arranged
    chunks = [*compress(lines, wanted)]
    offsets = [at]
    for line in chunks:
        at += len(line) + 1
        offsets.append(at)
    if at - offsets[0] > MAX_BLOCK_OCTETS:
        return None
    chunks.append(b"")
    return count_and_codes + layout.pack(*offsets) + b"\n".join(chunks)


@lru_cache(maxsize=256)
def _arranged(names: tuple[bytes, ...]) -> tuple[bytes, bytes, struct.Struct, int] | None:
    """``(1 for each line that is stored, count and codes, layout of the offsets, where the first field begins)``.

    The messages of one program have the same names. None: too many fields.
    """
    codes = bytes([_CODES[name] for name in names if name in _CODES])
    count = len(codes)
    if count > MAX_FIELDS:
        return None
    wanted = bytes([name in _CODES for name in names])
    return wanted, b"%c%b" % (count, codes), _layouts[count], 1 + count + 4 * (count + 1)


def _code_of(name: bytes) -> int:
    code = _CODES.get(name.lower(), _NOT_STORED)
    if len(_CODE_AS_WRITTEN) < 2000 and len(name) < 64:
        _CODE_AS_WRITTEN[name] = code
    return code


def known(names: Collection[bytes]) -> bool:
    """Can these (lower-case) names be answered from blocks alone?"""
    return all(name in _CODES for name in names)


class Picker:
    """Takes the wanted fields out of blocks."""

    def __init__(self, names: Collection[bytes]) -> None:
        """Lower-case names, all ``known``."""
        self._wanted = bytes(sorted(_CODES[name] for name in set(names)))

    def pick(self, block: bytes) -> bytes:
        """The raw fields, in message order. Raises IndexError, struct.error for a damaged block."""
        count = block[0]
        offsets = _layouts[count].unpack_from(block, 1 + count)
        runs = _positions(block[1 : 1 + count], self._wanted)
        if len(runs) == 1:
            a, b = runs[0]
            return block[offsets[a] : offsets[b]]
        return b"".join([block[offsets[a] : offsets[b]] for a, b in runs])


@lru_cache(maxsize=4096)
def _positions(codes: bytes, wanted: bytes) -> list[tuple[int, int]]:
    """Half-open runs of positions whose code is wanted."""
    runs: list[tuple[int, int]] = []
    for position, code in enumerate(codes):
        if code not in wanted:
            continue
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    return runs
