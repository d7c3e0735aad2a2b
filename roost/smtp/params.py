"""Parameters of MAIL and RCPT: ``SIZE=1234 BODY=8BITMIME SMTPUTF8`` (RFC 5321 §4.1.2; xtext of RFC 3461 §4)."""

from __future__ import annotations

import re
from collections.abc import Collection

from roost.errors import Malformed

MAX_PARAMS = 32

_PARAM = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\xff]+))?")
_XTEXT = re.compile(rb"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")


def parse(octets: bytes, known: Collection[str]) -> dict[str, str | None]:
    """Names in upper case to their values (None: no value given).

    Raises Malformed: BAD_SYNTAX for bad grammar and repetition, UNKNOWN_PARAMETER for a name not in ``known``.
    """
    found: dict[str, str | None] = {}
    for word in octets.split():
        match = _PARAM.fullmatch(word)
        if match is None:
            raise Malformed("Invalid parameter syntax", code="BAD_SYNTAX")
        name = match[1].decode("ascii").upper()
        if name not in known:
            raise Malformed(f"Unsupported parameter {name[:40]}", code="UNKNOWN_PARAMETER")
        if name in found or len(found) >= MAX_PARAMS:
            raise Malformed(f"Parameter {name} given twice", code="BAD_SYNTAX")
        value: bytes | None = match[2]
        found[name] = None if value is None else value.decode("utf-8", "surrogateescape")
    return found


def size_value(value: str | None) -> int:
    """SIZE=: up to 20 digits (RFC 1870 §4). Raises Malformed."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise Malformed("Invalid SIZE value", code="BAD_SYNTAX")
    return int(value)


def decode_xtext(value: str) -> str:
    """``a+2Bb`` is ``a+b``. Raises Malformed, also when the octets are not UTF-8 or hold control characters."""
    octets = value.encode("utf-8", "surrogateescape")
    if _XTEXT.fullmatch(octets) is None:
        raise Malformed("Invalid xtext", code="BAD_SYNTAX")
    plain = _HEXCHAR.sub(lambda match: bytes((int(match[1], 16),)), octets)
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("Invalid xtext", code="BAD_SYNTAX") from None
    if not text.isprintable():
        raise Malformed("Invalid xtext", code="BAD_SYNTAX")
    return text
