"""DIGEST-MD5: MD5 of ``user:realm:password``, in hexadecimal, as the mechanism of that name needs it (RFC 2831).

Tied to the user's name: what stands after an ``@`` in it is the realm. Fast and unsalted; whoever reads it can log in
by DIGEST-MD5 with it. Only for old clients that know nothing better.
"""

from __future__ import annotations

import hmac

from roost.errors import Refused
from roost.sasl.digest_md5 import as_hashed, secret_of
from services.auth.schemes.base import BadHash, Encoding, Entropy, Scheme, SchemeUnavailable

OCTETS = 16
NAME = "DIGEST-MD5"


def check(data: bytes) -> None:
    """Raises BadHash when it cannot be a digest."""
    if len(data) != OCTETS:
        raise BadHash("Undecodable password.", detail=f"{NAME}: {len(data)} octets, {OCTETS} expected")


def hashed_as(user: str) -> bytes:
    """``user:realm:`` of a user's name."""
    name, _, realm = user.partition("@")
    return b"%b:%b:" % tuple(as_hashed(part.encode("utf-8", "surrogateescape"), True) for part in (name, realm))


def for_hashed(prefix: bytes) -> Scheme:
    """The scheme for the user whose digests begin like this."""

    def verify(password: bytes, data: bytes) -> bool:
        check(data)
        return hmac.compare_digest(secret_of(prefix, password), data)

    def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
        return secret_of(prefix, password)

    return Scheme(NAME, verify, generate, slow=False, encoding=Encoding.HEX, raw_octets=OCTETS)


def _verify(password: bytes, data: bytes) -> bool:
    raise SchemeUnavailable("The user's name is needed.", detail=f"{NAME} cannot be verified without the user's name")


def _generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    raise Refused(f"{NAME} needs the user's name.")


DIGEST_MD5 = Scheme(
    NAME,
    _verify,
    _generate,
    slow=False,
    encoding=Encoding.HEX,
    raw_octets=OCTETS,
    for_user=lambda user: for_hashed(hashed_as(user)),
)
