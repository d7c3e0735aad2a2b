"""Digests, bare (SHA…) and salted (SSHA…): ``base64(H(password + salt) + salt)``. Fast, so only as strong as the
password; kept because LDAP directories hold them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from services.auth.schemes.base import BadHash, Encoding, Entropy, Scheme

SALT_OCTETS = 16


def _salted(name: str, algorithm: str) -> Scheme:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def verify(password: bytes, data: bytes) -> bool:
        if len(data) < size:
            raise BadHash("Undecodable password.", detail=f"{name}: shorter than its digest")
        digest, salt = data[:size], data[size:]
        return hmac.compare_digest(hashlib.new(algorithm, password + salt).digest(), digest)

    def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
        salt = entropy(SALT_OCTETS)
        return hashlib.new(algorithm, password + salt).digest() + salt

    return Scheme(name, verify, generate, slow=False, encoding=Encoding.BASE64)


def _bare(name: str, algorithm: str) -> Scheme:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def digest(password: bytes) -> bytes:
        return hashlib.new(algorithm, password).digest()

    def verify(password: bytes, data: bytes) -> bool:
        if len(data) != size:
            raise BadHash("Undecodable password.", detail=f"{name}: {len(data)} octets, {size} expected")
        return hmac.compare_digest(digest(password), data)

    generate: Callable[[bytes, int, Entropy], bytes] = lambda password, rounds, entropy: digest(password)  # noqa: E731
    return Scheme(name, verify, generate, slow=False, encoding=Encoding.BASE64, raw_octets=size)


SSHA = _salted("SSHA", "sha1")
SSHA256 = _salted("SSHA256", "sha256")
SSHA512 = _salted("SSHA512", "sha512")
SHA = _bare("SHA", "sha1")
SHA1 = _bare("SHA1", "sha1")
SHA256 = _bare("SHA256", "sha256")
SHA512 = _bare("SHA512", "sha512")
