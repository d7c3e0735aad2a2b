"""Digests, bare (SHA…) and salted (SSHA…): ``base64(H(password + salt) + salt)``. Fast, so only as strong as the
password; kept because LDAP directories hold them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from services.auth.schemes.base import BadHash, Encoding, Entropy, Scheme

SALT_OCTETS = 16


def _salted(name: str, algorithm: str, *, weak: bool = False) -> Scheme:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def verify(password: bytes, data: bytes) -> bool:
        if len(data) < size:
            raise BadHash("Undecodable password.", detail=f"{name}: shorter than its digest")
        digest, salt = data[:size], data[size:]
        return hmac.compare_digest(hashlib.new(algorithm, password + salt, usedforsecurity=False).digest(), digest)

    def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
        salt = entropy(SALT_OCTETS)
        return hashlib.new(algorithm, password + salt, usedforsecurity=False).digest() + salt

    return Scheme(name, verify, generate, slow=False, encoding=Encoding.BASE64, weak=weak)


def _bare(name: str, algorithm: str, *, encoding: Encoding = Encoding.BASE64, weak: bool = False) -> Scheme:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def digest(password: bytes) -> bytes:
        return hashlib.new(algorithm, password, usedforsecurity=False).digest()

    def verify(password: bytes, data: bytes) -> bool:
        if len(data) != size:
            raise BadHash("Undecodable password.", detail=f"{name}: {len(data)} octets, {size} expected")
        return hmac.compare_digest(digest(password), data)

    generate: Callable[[bytes, int, Entropy], bytes] = lambda password, rounds, entropy: digest(password)  # noqa: E731
    return Scheme(name, verify, generate, slow=False, encoding=encoding, raw_octets=size, weak=weak)


SSHA = _salted("SSHA", "sha1")
SSHA256 = _salted("SSHA256", "sha256")
SSHA512 = _salted("SSHA512", "sha512")
SHA = _bare("SHA", "sha1")
SHA1 = _bare("SHA1", "sha1")
SHA256 = _bare("SHA256", "sha256")
SHA512 = _bare("SHA512", "sha512")

# MD5 is broken as a digest; databases of the last century hold it. PLAIN-MD4 is left out: OpenSSL has MD4 no more.
SMD5 = _salted("SMD5", "md5", weak=True)
LDAP_MD5 = _bare("LDAP-MD5", "md5", weak=True)
PLAIN_MD5 = _bare("PLAIN-MD5", "md5", encoding=Encoding.HEX, weak=True)
