"""PLAIN and its other names: the password as it is. Fast, for tests and for stores that are secrets themselves."""

from __future__ import annotations

import hmac

from services.auth.schemes.base import Entropy, Scheme


def verify(password: bytes, data: bytes) -> bool:
    return hmac.compare_digest(password, data)


def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return password


PLAIN, CLEAR, CLEARTEXT = (Scheme(name, verify, generate, slow=False) for name in ("PLAIN", "CLEAR", "CLEARTEXT"))
