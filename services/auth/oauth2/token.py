"""A JWT taken apart (RFC 7519, RFC 7515 compact form). Nothing here is verified: whoever made it up, it parses."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from services.auth.oauth2.members import NotAnObject, parse
from services.auth.oauth2.rules import TokenRefused

_PART = re.compile(rb"[A-Za-z0-9_-]+")
MAX_IDENTIFIER_OCTETS = 256
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Jwt:
    """``signed``: the octets that ``signature`` is of."""

    header: dict[str, object]
    payload: dict[str, object] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> object:
        return self.header.get("alg")

    @property
    def key_id(self) -> str:
        """``kid`` of the header. Raises TokenRefused."""
        return _identifier(self.header, "kid")

    @property
    def party(self) -> str:
        """``azp`` of the payload. Raises TokenRefused."""
        return _identifier(self.payload, "azp")


def take_apart(token: bytes) -> Jwt:
    """Raises TokenRefused."""
    parts = token.split(b".")
    if len(parts) != 3:
        raise TokenRefused("Not a JWT: it has not three parts")
    header, payload, signature = (_decoded(part) for part in parts)
    try:
        made = Jwt(parse(header), parse(payload), token[: token.rindex(b".")], signature)
    except NotAnObject as error:
        raise TokenRefused(f"Not a JWT: {error}") from None
    for name in ("crit", "b64", "zip", "enc"):
        if name in made.header:
            raise TokenRefused(f"JWT with an extension that is not understood ({name})")
    return made


def _decoded(part: bytes) -> bytes:
    """base64url without padding, in its one right form."""
    try:
        if _PART.fullmatch(part) is None:
            raise ValueError
        made = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        if base64.urlsafe_b64encode(made).rstrip(b"=") != part:
            raise ValueError
    except (binascii.Error, ValueError):
        raise TokenRefused("Not a JWT: a part is not base64url") from None
    return made


def _identifier(members: dict[str, object], name: str) -> str:
    value = members.get(name, DEFAULT)
    if not isinstance(value, str) or not value:
        raise TokenRefused(f"JWT with a malformed {name}")
    if len(value.encode("utf-8", "replace")) > MAX_IDENTIFIER_OCTETS or not value.isprintable():
        raise TokenRefused(f"JWT with a malformed {name}")
    return value
