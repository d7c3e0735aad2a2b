"""CRAM-MD5: the two states of HMAC-MD5 under the password, in hexadecimal, as the mechanism of that name needs them.

Fast and unsalted; whoever reads it can log in by CRAM-MD5 with it. Only for old clients that know nothing better.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from roost.sasl.md5_state import STATE_OCTETS, hmac_states
from services.auth.schemes.base import BadHash, Encoding, Entropy, Scheme

OCTETS = 2 * STATE_OCTETS


def check(data: bytes) -> None:
    """Raises BadHash when it cannot be two states."""
    if len(data) != OCTETS:
        raise BadHash("Undecodable password.", detail=f"CRAM-MD5: {len(data)} octets, {OCTETS} expected")


def verify(password: bytes, data: bytes) -> bool:
    check(data)
    return hmac.compare_digest(hmac_states(password), data)


def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return hmac_states(password)


CRAM_MD5 = Scheme("CRAM-MD5", verify, generate, slow=False, encoding=Encoding.HEX, raw_octets=OCTETS)
HMAC_MD5 = replace(CRAM_MD5, name="HMAC-MD5", weak=True)  # its name in old databases
