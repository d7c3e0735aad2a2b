"""What a password scheme is, and the stored form ``{SCHEME.ENCODING}data``."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from roost.errors import Refused, Unavailable

Entropy = Callable[[int], bytes]  # n → n unpredictable octets


class Encoding(Enum):
    """How raw octets are written after the scheme's name."""

    NONE = ""
    BASE64 = "B64"
    HEX = "HEX"


class BadHash(Refused):
    """A stored password that its scheme cannot read. The text never contains it."""


class SchemeUnavailable(Unavailable):
    """The scheme exists but not on this machine (no libcrypt, no argon2); ``detail`` says what to install."""


@dataclass(frozen=True)
class Scheme:
    """A row of SCHEMES. ``verify`` raises BadHash or SchemeUnavailable; ``slow`` ones must not run on a loop.

    ``verify(password, data)``: does the password belong to the stored octets (after ``encoding`` is undone)?
    ``generate(password, rounds, entropy)``: stored octets for it; ``rounds`` 0 = the scheme's default. Raises Refused
    when ``rounds`` is out of range.
    """

    name: str
    verify: Callable[[bytes, bytes], bool]
    generate: Callable[[bytes, int, Entropy], bytes]
    slow: bool
    encoding: Encoding = Encoding.NONE
    raw_octets: int = 0  # fixed length of raw data: hexadecimal is then recognised by its length
    weak: bool = False
    for_user: Callable[[str], Scheme] | None = None  # of a scheme tied to the user's name: the one that verifies


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored password taken apart; its repr shows the scheme only."""

    scheme: Scheme
    data: bytes

    def __repr__(self) -> str:
        return f"Stored({self.scheme.name})"

    def verify(self, password: bytes) -> bool:
        """Raises BadHash, SchemeUnavailable."""
        return self.scheme.verify(password, self.data)

    def of_user(self, user: str) -> Stored:
        """Itself, able to verify when its scheme is tied to the user's name."""
        scheme = self.scheme
        return self if scheme.for_user is None else Stored(scheme.for_user(user), self.data)


_prefix = re.compile(r"\{([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9]+))?\}")
_ENCODINGS = {"B64": Encoding.BASE64, "BASE64": Encoding.BASE64, "HEX": Encoding.HEX}


def parse(text: str, schemes: Mapping[str, Scheme], default: str) -> Stored:
    """``{SCHEME}data``, or bare data of the scheme ``default``. Raises BadHash (unknown scheme, undecodable)."""
    if text[:1] == "{":  # the usual form, without the pattern
        name, closed, data = text[1:].partition("}")
        scheme = schemes.get(name)
        if closed and scheme is not None and scheme.encoding is Encoding.NONE:
            return Stored(scheme, data.encode("utf-8", "surrogateescape"))
    found = _prefix.match(text)
    encoding = None
    if found is not None:
        name = found[1].upper()
        data = text[found.end() :]
        if found[2] is not None:
            encoding = _ENCODINGS.get(found[2].upper())
            if encoding is None:
                raise BadHash("Unknown scheme.", detail=f"Unknown scheme {name}.{found[2].upper()}")
    else:
        name, data = default.upper(), text
        if data.startswith("$1$"):
            name = "MD5-CRYPT"
    scheme = schemes.get(name)
    if scheme is None:
        raise BadHash("Unknown scheme.", detail=f"Unknown scheme {name}")
    octets = data.encode("utf-8", "surrogateescape")
    if encoding is None:
        encoding = scheme.encoding
        if encoding is not Encoding.NONE and scheme.raw_octets:
            encoding = Encoding.HEX if len(octets) == 2 * scheme.raw_octets else Encoding.BASE64
    if encoding is Encoding.NONE:
        return Stored(scheme, octets)
    try:
        raw = binascii.unhexlify(octets) if encoding is Encoding.HEX else binascii.a2b_base64(octets, strict_mode=True)
    except ValueError:
        raise BadHash("Undecodable password.", detail=f"{name}: not valid {encoding.value.lower()}") from None
    return Stored(scheme, raw)


def write(scheme: Scheme, data: bytes, encoding: Encoding | None = None) -> str:
    """The stored form of ``data``; ``encoding`` other than the scheme's own becomes a suffix of its name."""
    shown = scheme.encoding if encoding is None else encoding
    suffix = "" if shown is scheme.encoding else f".{shown.value}"
    if shown is Encoding.BASE64:
        data = binascii.b2a_base64(data, newline=False)
    elif shown is Encoding.HEX:
        data = binascii.hexlify(data)
    return f"{{{scheme.name}{suffix}}}{data.decode('utf-8', 'surrogateescape')}"
