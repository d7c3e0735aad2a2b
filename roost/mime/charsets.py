"""Charsets of mail text (RFC 2978 names): which we decode, and decoding that never raises.

Only codecs that turn octets into text in linear time are let in, by name; Python knows others (idna, unicode_escape …)
that mail must not reach. Unknown charsets are read as UTF-8, and what is not UTF-8 as Latin-1.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

# Python codec names (normalised by ``codecs.lookup``).
_CODECS = re.compile(
    r"ascii|utf-8|utf-(?:16|32)(?:-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|kz1048|ptcp154|mac-\w+|tis-620"
    r"|big5\w*|gb\w+|hz|euc_\w+|johab|shift_\w+|iso2022_\w+"
)
# Names seen in mail that Python does not know.
_ALIASES = {
    "unicode-1-1-utf-8": "utf-8",
    "utf-8mb4": "utf-8",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "x-gbk": "gbk",
    "ks_c_5601": "cp949",
    "windows-949": "cp949",
    "x-sjis": "cp932",
    "x-euc-jp": "euc_jp",
    "ansi_x3.110-1983": "iso8859-1",
    "unknown-8bit": "utf-8",
    "x-unknown": "utf-8",
    "default": "utf-8",
}
_NAME = re.compile(r"[A-Za-z0-9_.:()+-]{1,40}")


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """Python's name of a charset as mail names it, or None when it is not one we decode."""
    name = charset.strip().lower()
    if not _NAME.fullmatch(name):
        return None
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return found if _CODECS.fullmatch(found) else None


def decode(octets: bytes, charset: str) -> str:
    """Text in the best way that can be: what cannot be decoded becomes U+FFFD."""
    name = codec(charset)
    if name is None or name == "ascii":
        return decode_unknown(octets)
    try:
        return octets.decode(name)
    except UnicodeError:
        return octets.decode(name, "replace")


def decode_unknown(octets: bytes) -> str:
    """Text without a (known) charset: UTF-8 if it is that, else Latin-1."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
