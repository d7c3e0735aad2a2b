"""ARGON2ID and ARGON2I: the door to argon2-cffi (RFC 9106). Memory-hard: each hash takes 64 MB while it runs."""

from __future__ import annotations

from roost.errors import Refused
from services.auth.schemes.base import BadHash, Entropy, Scheme, SchemeUnavailable

SALT_OCTETS = 16
KEY_OCTETS = 32
LANES = 1
# rounds → memory in KiB: libsodium's INTERACTIVE, MODERATE and SENSITIVE classes, as Dovecot picks them
DEFAULT_ROUNDS = 3
MEMORY_KIB = ((5, 65_536), (9, 262_144), (64, 1_048_576))


def _memory_kib(rounds: int) -> int:
    for limit, kib in MEMORY_KIB:
        if rounds <= limit:
            return kib
    raise Refused(f"ARGON2 takes 1 to {MEMORY_KIB[-1][0]} rounds.")


def verify(password: bytes, data: bytes) -> bool:
    try:
        from argon2 import exceptions, low_level
    except ImportError:
        raise SchemeUnavailable("Scheme is not available.", detail="the argon2-cffi package is missing") from None
    if data.startswith(b"$argon2id$"):
        kind = low_level.Type.ID
    elif data.startswith(b"$argon2i$"):
        kind = low_level.Type.I
    else:
        raise BadHash("Undecodable password.", detail="ARGON2: neither $argon2id$ nor $argon2i$")
    try:
        return bool(low_level.verify_secret(data, password, kind))
    except exceptions.VerifyMismatchError:
        return False
    except exceptions.Argon2Error:
        raise BadHash("Undecodable password.", detail="ARGON2: broken hash") from None


def _generate(password: bytes, rounds: int, entropy: Entropy, *, hybrid: bool) -> bytes:
    try:
        from argon2 import low_level
    except ImportError:
        raise SchemeUnavailable("Scheme is not available.", detail="the argon2-cffi package is missing") from None
    rounds = rounds or DEFAULT_ROUNDS
    kind = low_level.Type.ID if hybrid else low_level.Type.I
    memory_kib = _memory_kib(rounds)
    result: bytes = low_level.hash_secret(password, entropy(SALT_OCTETS), rounds, memory_kib, LANES, KEY_OCTETS, kind)
    return result


def generate_id(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return _generate(password, rounds, entropy, hybrid=True)


def generate_i(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return _generate(password, rounds, entropy, hybrid=False)


ARGON2ID = Scheme("ARGON2ID", verify, generate_id, slow=True)
ARGON2I = Scheme("ARGON2I", verify, generate_i, slow=True)
ARGON2 = Scheme("ARGON2", verify, generate_id, slow=True)
