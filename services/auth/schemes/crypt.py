"""The crypt(3) family: SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, and CRYPT, which tells them apart by their prefix.

Traditional DES and MD5-CRYPT hashes are weak: they are read as such and refused unless ``auth_allow_weak_schemes``.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable

from roost.errors import Refused
from services.auth.schemes.base import BadHash, Entropy, Scheme
from services.auth.schemes.crypt_alphabet import salt_text
from services.auth.schemes.libcrypt import crypt

SHA_DEFAULT_ROUNDS = 5000
SHA_ROUNDS = (1000, 999_999_999)
BLOWFISH_DEFAULT_COST = 5
BLOWFISH_COST = (4, 31)
BLOWFISH_PREFIXES = (b"$2a$", b"$2b$", b"$2x$", b"$2y$")
MD5_PREFIX = b"$1$"


def _matches(password: bytes, data: bytes) -> bool:
    result = crypt(password, data)
    if result is not None:
        return hmac.compare_digest(result, data)
    if crypt(b"", data) is None:
        raise BadHash("Undecodable password.", detail="crypt: unknown method or broken salt")
    return False  # the hash is fine: the password has a NUL or is longer than crypt(3) takes


def _verifier(name: str, prefixes: tuple[bytes, ...]) -> Callable[[bytes, bytes], bool]:
    def verify(password: bytes, data: bytes) -> bool:
        if not data.startswith(prefixes):
            raise BadHash("Undecodable password.", detail=f"{name}: does not begin with {prefixes[-1].decode()}")
        return _matches(password, data)

    return verify


def _verify_any(password: bytes, data: bytes) -> bool:
    if data.startswith(MD5_PREFIX) or not data.startswith(b"$"):
        raise BadHash("Undecodable password.", detail="CRYPT: DES and MD5 are weak schemes; not accepted")
    return _matches(password, data)


def _verify_weak(password: bytes, data: bytes) -> bool:
    if not data:
        raise BadHash("Undecodable password.", detail="CRYPT: empty")
    return _matches(password, data)


def _verify_md5(password: bytes, data: bytes) -> bool:
    """``$1$…``, or a bare digest in hexadecimal or base64: PHP programs wrote both under this name."""
    if data.startswith(MD5_PREFIX):
        return _matches(password, data)
    try:
        digest = binascii.unhexlify(data) if len(data) == 32 else binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise BadHash("Undecodable password.", detail="MD5: neither $1$ nor a digest")
    return hmac.compare_digest(hashlib.md5(password, usedforsecurity=False).digest(), digest)


def _made(password: bytes, setting: bytes) -> bytes:
    result = crypt(password, setting)
    if result is None:
        raise Refused("crypt(3) does not take this password (it has a NUL or is too long).")
    return result


def _sha_generator(name: str, prefix: bytes) -> Callable[[bytes, int, Entropy], bytes]:
    def generate(password: bytes, rounds: int, entropy: Entropy) -> bytes:
        low, high = SHA_ROUNDS
        if rounds and not low <= rounds <= high:
            raise Refused(f"{name} takes {low} to {high} rounds.")
        shown = b"" if rounds in (0, SHA_DEFAULT_ROUNDS) else b"rounds=%d$" % rounds
        return _made(password, prefix + shown + salt_text(entropy, 16) + b"$")

    return generate


def _generate_blowfish(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    low, high = BLOWFISH_COST
    cost = rounds or BLOWFISH_DEFAULT_COST
    if not low <= cost <= high:
        raise Refused(f"BLF-CRYPT takes a cost of {low} to {high}.")
    # 128 bits in 22 characters: the last one carries two bits only
    salt = salt_text(entropy, 21) + b".Oeu"[entropy(1)[0] & 3 :][:1]
    return _made(password, b"$2y$%02d$%b" % (cost, salt))


def _generate_md5(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return _made(password, MD5_PREFIX + salt_text(entropy, 8) + b"$")


def _generate_des(password: bytes, rounds: int, entropy: Entropy) -> bytes:
    return _made(password, salt_text(entropy, 2))


SHA512_CRYPT = Scheme(
    "SHA512-CRYPT", _verifier("SHA512-CRYPT", (b"$6$",)), _sha_generator("SHA512-CRYPT", b"$6$"), True
)
SHA256_CRYPT = Scheme(
    "SHA256-CRYPT", _verifier("SHA256-CRYPT", (b"$5$",)), _sha_generator("SHA256-CRYPT", b"$5$"), True
)
BLF_CRYPT = Scheme("BLF-CRYPT", _verifier("BLF-CRYPT", BLOWFISH_PREFIXES), _generate_blowfish, True)
CRYPT = Scheme("CRYPT", _verify_any, _generate_blowfish, True)
MD5_CRYPT = Scheme("MD5-CRYPT", _verifier("MD5-CRYPT", (MD5_PREFIX,)), _generate_md5, True, weak=True)
DES_CRYPT = Scheme("DES-CRYPT", _verify_weak, _generate_des, True, weak=True)
MD5 = Scheme("MD5", _verify_md5, _generate_md5, True, weak=True)
CRYPT_OF_ANY_STRENGTH = Scheme("CRYPT", _verify_weak, _generate_blowfish, True)  # where weak ones are allowed
