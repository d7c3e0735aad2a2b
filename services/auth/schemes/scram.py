"""SCRAM-SHA-1 and SCRAM-SHA-256: ``iterations,salt,StoredKey,ServerKey`` (RFC 5802, 7677), the form Dovecot writes.

The only schemes of which the mechanism of the same name can make something without knowing the password. They verify a
password too (PLAIN, LOGIN), prepared by SASLprep on both ways.
"""

from __future__ import annotations

import hmac

from roost.errors import Refused
from roost.sasl import scram_keys
from roost.sasl.saslprep import prepared
from services.auth.schemes.base import BadHash, Entropy, Scheme

DEFAULT_ITERATIONS = 4096
SALT_OCTETS = 16
ALGORITHMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


def keys_of(name: str, data: bytes) -> scram_keys.Keys:
    """Stored data of the scheme ``name`` taken apart. Raises BadHash."""
    try:
        return scram_keys.parse(ALGORITHMS[name], data)
    except ValueError as error:
        raise BadHash("Undecodable password.", detail=f"{name}: {error}") from None


def _scheme(name: str, algorithm: str) -> Scheme:
    def verify(password: bytes, data: bytes) -> bool:
        keys = keys_of(name, data)
        derived = scram_keys.derive(algorithm, prepared(password), keys.salt, keys.iterations)
        return hmac.compare_digest(derived.stored, keys.stored)

    def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
        rounds = rounds or DEFAULT_ITERATIONS
        if not DEFAULT_ITERATIONS <= rounds <= scram_keys.MAX_ITERATIONS:
            raise Refused(f"{name} takes {DEFAULT_ITERATIONS} to {scram_keys.MAX_ITERATIONS} rounds.")
        return scram_keys.write(scram_keys.derive(algorithm, prepared(password), entropy(SALT_OCTETS), rounds))

    return Scheme(name, verify, generate, slow=True)


SCRAM_SHA_1, SCRAM_SHA_256 = (_scheme(name, algorithm) for name, algorithm in ALGORITHMS.items())
