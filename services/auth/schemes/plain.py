"""PLAIN and its other names: the password as it is. Fast, for tests and for stores that are secrets themselves.

PLAIN-TRUNC, ``<length>-<password>``, is for databases that cut passwords off: only so many octets of a given one count.
"""

from __future__ import annotations

import hmac

from services.auth.schemes.base import BadHash, Entropy, Scheme


def verify(password: bytes, data: bytes) -> bool:
    return hmac.compare_digest(password, data)


def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return password


PLAIN, CLEAR, CLEARTEXT = (Scheme(name, verify, generate, slow=False) for name in ("PLAIN", "CLEAR", "CLEARTEXT"))


def _verify_truncated(password: bytes, data: bytes) -> bool:
    length, dash, kept = data.partition(b"-")
    if not (dash and length.isdigit() and len(length) < 6):
        raise BadHash("Undecodable password.", detail="PLAIN-TRUNC: missing length: prefix")
    return hmac.compare_digest(password[: int(length)], kept)


def _generate_truncated(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return b"%d-%b" % (len(password), password)


PLAIN_TRUNC = Scheme("PLAIN-TRUNC", _verify_truncated, _generate_truncated, slow=False)
