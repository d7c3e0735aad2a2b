"""The door to PyJWT and cryptography: keys of each algorithm, and whether a signature is right.

A key is loaded for one algorithm and is of the kind that algorithm needs: an RSA key is never an HMAC secret, a curve
never another one. Too short RSA keys (RFC 7518 §3.3) are refused.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm, RSAPSSAlgorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

HMAC, RSA, EC = "HMAC secret", "RSA key", "EC key"
KINDS = {
    **{f"HS{bits}": HMAC for bits in (256, 384, 512)},
    **{f"{family}{bits}": RSA for family in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": EC for bits in ("256", "384", "512", "256K")},
}
"""Algorithm → kind of key. Nothing else is accepted, ``none`` least of all."""

CLASSES: dict[str, type | tuple[type, ...]] = {
    HMAC: HMACAlgorithm,
    RSA: (RSAAlgorithm, RSAPSSAlgorithm),
    EC: ECAlgorithm,
}
LEAST_RSA_BITS = 2048
PEM = b"-----BEGIN "

_algorithms: dict[str, Any] = {
    name: one
    for name, one in get_default_algorithms().items()
    if name in KINDS and isinstance(one, CLASSES[KINDS[name]])
}


class BadKey(ValueError):
    """A stored key will not do; the text says why and never holds it."""


def supported(algorithm: object) -> bool:
    """Whether tokens of this ``alg`` are accepted at all."""
    return isinstance(algorithm, str) and algorithm in _algorithms


def load_key(algorithm: str, stored: bytes) -> object:
    """The key of an algorithm from what the dict has: PEM, or for HMAC the secret in base64. Raises BadKey."""
    kind = KINDS[algorithm]
    if kind is HMAC:
        stored = _secret(stored)
    elif PEM not in stored:
        raise BadKey(f"a PEM {kind} is expected")
    elif b"PRIVATE KEY" in stored:
        raise BadKey("it is a private key; store the public one")
    try:
        key = _algorithms[algorithm].prepare_key(stored)
    except InvalidKeyError as error:
        raise BadKey(f"not usable for {algorithm}: {error}") from None
    except Exception as error:  # what the libraries raise for broken keys is not one class
        raise BadKey(f"not a {kind}: {type(error).__name__}") from None
    if kind is RSA and key.key_size < LEAST_RSA_BITS:
        raise BadKey(f"an RSA key of {key.key_size} bits is too short; {LEAST_RSA_BITS} are needed")
    return key


def _secret(stored: bytes) -> bytes:
    try:
        secret = base64.b64decode(b"".join(stored.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("an HMAC secret in base64 is expected") from None
    if not secret:
        raise BadKey("the HMAC secret is empty")
    return secret


def is_signed(algorithm: str, key: object, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is one of ``message`` by this key, which ``load_key`` made for this algorithm."""
    try:
        return bool(_algorithms[algorithm].verify(message, key, signature))
    except Exception:  # a signature of a wrong length or form, in whatever way the library puts it
        return False
