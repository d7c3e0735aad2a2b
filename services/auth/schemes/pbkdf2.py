"""PBKDF2: ``$1$salt$rounds$hex`` with HMAC-SHA1 and 20 octets (the form Dovecot writes)."""

from __future__ import annotations

import binascii
import hashlib
import hmac

from roost.errors import Refused
from services.auth.schemes.base import BadHash, Entropy, Scheme
from services.auth.schemes.crypt_alphabet import salt_text

DEFAULT_ROUNDS = 5000
MAX_ROUNDS = 10_000_000
SALT_CHARS = 16
KEY_OCTETS = 20


def _derive(password: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", password, salt, rounds, KEY_OCTETS)


def verify(password: bytes, data: bytes) -> bool:
    parts = data.split(b"$")
    if len(parts) != 5 or parts[0] or parts[1] != b"1" or not parts[3].isdigit() or len(parts[3]) > 9:
        raise BadHash("Undecodable password.", detail="PBKDF2: not of the form $1$salt$rounds$hex")
    rounds = int(parts[3])
    try:
        key = binascii.unhexlify(parts[4])
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS or not 1 <= rounds <= MAX_ROUNDS:
        raise BadHash("Undecodable password.", detail="PBKDF2: bad key or rounds")
    return hmac.compare_digest(_derive(password, parts[2], rounds), key)


def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    rounds = rounds or DEFAULT_ROUNDS
    if not 1 <= rounds <= MAX_ROUNDS:
        raise Refused(f"PBKDF2 takes 1 to {MAX_ROUNDS} rounds.")
    salt = salt_text(entropy, SALT_CHARS)
    return b"$1$%b$%d$%b" % (salt, rounds, binascii.hexlify(_derive(password, salt, rounds)))


PBKDF2 = Scheme("PBKDF2", verify, generate, slow=True)
