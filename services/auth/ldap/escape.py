"""Values in filters (RFC 4515) and in distinguished names (RFC 4514). Both allow any octet to be written as its number;
here every octet is that is not a letter, a digit or one of a few marks without a meaning in either.

Directories compare names loosely (RFC 4518: spaces, compatible letters and invisible characters do not count), so that
"alice" has many spellings. One that is not the plain one is nobody here; else each would be a user of its own
everywhere but in the directory.
"""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[A-Za-z0-9@._-]*\Z")
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._-")


def value(text: str) -> str:
    """A value that is nothing but a value, in a filter and in a name."""
    if _PLAIN.match(text) is not None:
        return text
    return "".join(
        chr(octet) if octet in _KEPT else f"\\{octet:02x}" for octet in text.encode("utf-8", "surrogateescape")
    )


def is_plain(name: str) -> bool:
    """Whether a directory takes a name for itself and for no other one, but for upper and lower case."""
    if name.isascii() and name.isprintable():
        return " " not in name or name == " ".join(name.split())
    try:
        stable = unicodedata.is_normalized("NFKC", name) and bool(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False
    hidden = any(unicodedata.category(one) in ("Cc", "Cf", "Co", "Cn") for one in name)
    return stable and not hidden and name == " ".join(name.split())
