"""Content transfer encodings (RFC 2045 §6): decoded octets of a part. Never raises, linear time.

    base64 · quoted-printable · uuencode (x-uuencode, seen in old mail) · 7bit, 8bit, binary and no encoding: as they
    are

Damaged base64 is read up to what can be made of it: other characters are ignored, an odd last character is dropped.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp, a2b_uu
from typing import Final

from roost.mime import charsets, parameters
from roost.mime.parts import Part

IDENTITY: Final = frozenset((b"7bit", b"8bit", b"binary", b""))
KNOWN: Final = IDENTITY | {b"base64", b"quoted-printable", b"x-uuencode", b"uuencode", b"x-uue"}

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def encoding_of(part: Part) -> bytes:
    """The part's Content-Transfer-Encoding in lower case; empty when it has none."""
    return (parameters.token(part.fields.get(b"content-transfer-encoding")) or b"").lower()


def decode(octets: bytes, encoding: bytes) -> bytes | None:
    """The octets meant by ``octets`` in ``encoding`` (lower case), or None when the encoding is unknown."""
    if encoding in IDENTITY:
        return octets
    if encoding == b"base64":
        return _base64(octets)
    if encoding == b"quoted-printable":
        return a2b_qp(octets)
    return _uuencode(octets) if encoding in KNOWN else None


def part_text(data: bytes, part: Part, max_octets: int | None = None) -> str:
    """The text of a text part of the message ``data``, decoded; at most about ``max_octets`` of its octets are read.

    In an encoding nobody knows the octets stand for themselves.
    """
    stop = part.stop if max_octets is None else min(part.stop, part.body + max_octets)
    raw = data[part.body : stop]
    octets = decode(raw, encoding_of(part))
    charset = parameters.get(part.parameters, b"charset") or b"us-ascii"
    return charsets.decode(raw if octets is None else octets, charset.decode("latin-1"))


def _base64(octets: bytes) -> bytes:
    clean = _NOT_BASE64.sub(b"", octets)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return a2b_base64(clean + b"=" * (-len(clean) % 4))


def _uuencode(octets: bytes) -> bytes:
    out = []
    lines = iter(octets.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    for line in lines:
        if line.strip() == b"end":
            break
        try:
            out.append(a2b_uu(line))
        except BinasciiError:
            continue
    return b"".join(out)
