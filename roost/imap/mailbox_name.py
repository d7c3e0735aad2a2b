"""Mailbox names between the wire and ``str`` (RFC 3501 §5.1.3 modified UTF-7, RFC 9051 §5.1).

    "&" starts modified BASE64 of UTF-16BE, "-" ends it; "&" itself is "&-"; printable US-ASCII stands for itself

Inside, names are Unicode NFC. ``INBOX`` in any case, also as the first element of a path, is ``INBOX``. ``decode``
refuses (``InvalidName``, NO [CANNOT]) what is no such encoding: raw 8-bit, bad or unfinished BASE64, lone surrogates,
control characters.
"""

from __future__ import annotations

import re
import unicodedata
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Final

from roost.errors import InvalidName

SEPARATOR: Final = "/"

_PLAIN = re.compile(rb"[ -%'-~]*")
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_TO_ENCODE = re.compile(r"&|[^ -~]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_UTF7: Final = "Mailbox name is not valid mUTF-7"


def decode(wire_name: bytes, utf8: bool = False) -> str:
    """The name a client wrote. ``utf8``: UTF8=ACCEPT is on, names are UTF-8. Raises InvalidName."""
    if len(wire_name) <= _LONGEST_CACHED_OCTETS and not utf8:
        return _decode_cached(wire_name)
    return _decode_utf8(wire_name) if utf8 else _decode(wire_name)


def encode(name: str, utf8: bool = False) -> bytes:
    """The name as octets for the wire, not quoted. Any ``str`` without lone surrogates can be encoded."""
    name = unicodedata.normalize("NFC", name)
    if utf8:
        return name.encode()
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")
    return _TO_ENCODE.sub(_encode_run, name).encode("ascii")


def canonical(name: str, separator: str = SEPARATOR) -> str:
    """NFC, with ``INBOX`` in upper case as whole name or first element. Raises InvalidName for control characters."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if _CONTROL.search(name):
        raise InvalidName("Mailbox name contains control characters")
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == separator):
        return "INBOX" + name[5:]
    return name


def decode_pattern(wire_pattern: bytes, utf8: bool = False) -> str:
    """A LIST reference or pattern.

    Decoded like a name when it is one, else read as Latin-1 so that it matches nothing much.
    """
    try:
        return decode(wire_pattern, utf8)
    except InvalidName:
        return wire_pattern.decode("latin-1")


_LONGEST_CACHED_OCTETS = 256


@lru_cache(maxsize=1024)
def _decode_cached(wire_name: bytes) -> str:
    return _decode(wire_name)


def _decode(wire_name: bytes) -> str:
    plain = _PLAIN.match(wire_name)
    pos = plain.end() if plain else 0
    if pos == len(wire_name):
        return canonical(wire_name.decode("ascii"))
    parts = [wire_name[:pos].decode("ascii")]
    after_shift = False
    while pos < len(wire_name):
        shifted = _SHIFTED.match(wire_name, pos)
        if shifted is not None:
            if shifted[1]:
                if after_shift:  # two runs in a row should have been one; "&-" may follow
                    raise InvalidName(_NOT_UTF7)
                parts.append(_decode_run(shifted[1]))
                after_shift = True
            else:
                parts.append("&")
                after_shift = False
            pos = shifted.end()
            continue
        plain = _PLAIN.match(wire_name, pos)
        if plain is None or plain.end() == pos:
            raise InvalidName(_NOT_UTF7)
        parts.append(plain[0].decode("ascii"))
        after_shift = False
        pos = plain.end()
    return canonical("".join(parts))


def _decode_run(run: bytes) -> str:
    """One run of modified BASE64: no padding, "," for "/", the spare bits zero, and nothing that needs no encoding."""
    try:
        octets = a2b_base64(run.replace(b",", b"/") + b"=" * (-len(run) % 4), strict_mode=True)
        text = octets.decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError):
        raise InvalidName(_NOT_UTF7) from None
    if _encode_octets(octets) != run or any(" " <= char <= "~" for char in text):
        raise InvalidName(_NOT_UTF7)
    return text


def _encode_octets(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False).rstrip(b"=").replace(b"/", b",")


def _encode_run(match: re.Match[str]) -> str:
    run = match[0]
    return "&-" if run == "&" else f"&{_encode_octets(run.encode('utf-16-be')).decode('ascii')}-"


def _decode_utf8(wire_name: bytes) -> str:
    try:
        return canonical(wire_name.decode())
    except UnicodeDecodeError:
        raise InvalidName("Mailbox name is not valid UTF-8") from None
