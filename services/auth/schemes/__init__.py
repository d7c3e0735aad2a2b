"""Password schemes: how a stored password is compared with a given one. One file a family; SCHEMES is the table.

The stored form is ``{SCHEME}data`` or ``{SCHEME.HEX}data`` (``base.parse``). Weak schemes are in the table of their own
and count only with ``auth_allow_weak_schemes``.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.auth.schemes import argon2, cram_md5, crypt, digest_md5, digests, pbkdf2, plain, scram
from services.auth.schemes.base import BadHash, Scheme, SchemeUnavailable, Stored, parse, write

SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        plain.PLAIN,
        plain.CLEAR,
        plain.CLEARTEXT,
        plain.PLAIN_TRUNC,
        crypt.CRYPT,
        crypt.SHA512_CRYPT,
        crypt.SHA256_CRYPT,
        crypt.BLF_CRYPT,
        argon2.ARGON2ID,
        argon2.ARGON2I,
        argon2.ARGON2,
        pbkdf2.PBKDF2,
        scram.SCRAM_SHA_256,
        scram.SCRAM_SHA_1,
        cram_md5.CRAM_MD5,
        digest_md5.DIGEST_MD5,
        digests.SSHA512,
        digests.SSHA256,
        digests.SSHA,
        digests.SHA512,
        digests.SHA256,
        digests.SHA1,
        digests.SHA,
    )
}
WEAK_SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        crypt.MD5_CRYPT,
        crypt.DES_CRYPT,
        crypt.MD5,
        cram_md5.HMAC_MD5,
        digests.SMD5,
        digests.LDAP_MD5,
        digests.PLAIN_MD5,
    )
}
ALL_SCHEMES: Mapping[str, Scheme] = {**SCHEMES, **WEAK_SCHEMES, "CRYPT": crypt.CRYPT_OF_ANY_STRENGTH}

__all__ = [
    "ALL_SCHEMES",
    "SCHEMES",
    "WEAK_SCHEMES",
    "BadHash",
    "Scheme",
    "SchemeUnavailable",
    "Stored",
    "parse",
    "write",
]
