"""What a SCRAM server knows about a password (RFC 5802 §3), and its stored form.

``iterations,salt,StoredKey,ServerKey``, all but the number in base64: the form Dovecot writes. Whoever has it can play
the server, but not the client.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

MAX_ITERATIONS = 10_000_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Of one user; ``salt`` and ``iterations`` are told to whoever asks."""

    iterations: int
    salt: bytes
    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)


def derive(algorithm: str, password: bytes, salt: bytes, iterations: int) -> Keys:
    """From a prepared password (``saslprep``). Slow on purpose: about 1 ms for 4,096 iterations."""
    salted = hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)
    stored = hashlib.new(algorithm, hmac.digest(salted, b"Client Key", algorithm)).digest()
    return Keys(iterations, salt, stored, hmac.digest(salted, b"Server Key", algorithm))


def write(keys: Keys) -> bytes:
    """The stored form."""
    shown = (binascii.b2a_base64(octets, newline=False) for octets in (keys.salt, keys.stored, keys.server))
    return b",".join((b"%d" % keys.iterations, *shown))


def parse(algorithm: str, data: bytes) -> Keys:
    """The stored form taken apart. Raises ValueError, whose text never shows it."""
    parts = data.split(b",")
    if len(parts) != 4 or not parts[0].isdigit() or len(parts[0]) > 9:
        raise ValueError("not of the form iterations,salt,StoredKey,ServerKey")
    iterations = int(parts[0])
    try:
        salt, stored, server = (binascii.a2b_base64(part, strict_mode=True) for part in parts[1:])
    except ValueError:
        raise ValueError("not valid base64") from None
    size = hashlib.new(algorithm).digest_size
    if not 1 <= iterations <= MAX_ITERATIONS or not salt or len(stored) != size or len(server) != size:
        raise ValueError("bad iterations, salt or keys")
    return Keys(iterations, salt, stored, server)
