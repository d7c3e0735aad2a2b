"""MD5 (RFC 1321) whose state can be taken out and put back, which hashlib's cannot.

CRAM-MD5 needs it: what is stored about a user is the state of HMAC's two hashes after their first blocks (RFC 2104 §4),
and the answer to a challenge continues from there. About 50 µs a block, and an answer takes two or three.
"""

from __future__ import annotations

import hashlib
import math
import struct

BLOCK_OCTETS = 64
STATE_OCTETS = 16

_START = struct.pack("<4I", 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_SINES = [int(abs(math.sin(i + 1)) * 2**32) for i in range(64)]
_TURNS = [
    turns[i % 4] for turns in ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21)) for i in range(16)
]
_WORDS = [(1, 0), (5, 1), (3, 5), (7, 0)]  # round → which word step i takes: (factor · i + offset) mod 16
_MASK = 0xFFFFFFFF


def compress(state: bytes, block: bytes) -> bytes:
    """The state (16 octets) after one more block of 64."""
    words = struct.unpack("<16I", block)
    start = a, b, c, d = struct.unpack("<4I", state)
    for i in range(64):
        kind = i >> 4
        if kind == 0:
            mixed = (b & c) | (~b & d)
        elif kind == 1:
            mixed = (d & b) | (~d & c)
        elif kind == 2:
            mixed = b ^ c ^ d
        else:
            mixed = c ^ (b | (~d & _MASK))
        factor, offset = _WORDS[kind]
        total = (a + mixed + _SINES[i] + words[(factor * i + offset) & 15]) & _MASK
        a, d, c = d, c, b
        b = (b + ((total << _TURNS[i]) | (total >> (32 - _TURNS[i])))) & _MASK
    return struct.pack("<4I", *((old + new) & _MASK for old, new in zip(start, (a, b, c, d), strict=True)))


def finish(state: bytes, octets_before: int, message: bytes) -> bytes:
    """The digest of what led to ``state`` (whole blocks, ``octets_before`` of them in octets) and then ``message``."""
    total = octets_before + len(message)
    padded = message + b"\x80" + b"\0" * ((55 - len(message)) % 64) + struct.pack("<Q", total * 8)
    for at in range(0, len(padded), BLOCK_OCTETS):
        state = compress(state, padded[at : at + BLOCK_OCTETS])
    return state


def hmac_states(key: bytes) -> bytes:
    """The two states of HMAC-MD5 under ``key``, outer and then inner, as Dovecot stores them: 32 octets."""
    if len(key) > BLOCK_OCTETS:
        key = hashlib.md5(key, usedforsecurity=False).digest()
    key = key.ljust(BLOCK_OCTETS, b"\0")
    return b"".join(compress(_START, bytes(octet ^ pad for octet in key)) for pad in (0x5C, 0x36))


def hmac_finish(states: bytes, message: bytes) -> bytes:
    """HMAC-MD5 of ``message`` under the key that ``states`` were made of."""
    inner = finish(states[STATE_OCTETS:], BLOCK_OCTETS, message)
    return finish(states[:STATE_OCTETS], BLOCK_OCTETS, inner)
