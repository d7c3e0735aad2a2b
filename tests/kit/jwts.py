"""JWTs for tests: keys of every algorithm, tokens signed by them, and a passdb oauth2 that knows the keys."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from roost.settings.schema.auth import PassdbSettings
from roost.settings.schema.dict import DictSettings
from roost.testing.passdb import driver_context
from services.auth.passdb.oauth2 import Oauth2

HMAC_SECRET = b"0123456789abcdef" * 4
CURVES: Mapping[str, Any] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
    "ES256K": ec.SECP256K1,
}
ALGORITHMS = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *CURVES,
)
USER = "alice@example.org"


@cache
def private_key(algorithm: str) -> Any:
    """What tokens are signed by; one for all RSA algorithms."""
    if algorithm.startswith("HS"):
        return HMAC_SECRET
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    return _rsa_key()


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    """The public half."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    made: bytes = key.public_key().public_bytes(encoding, form)
    return made


def stored_key(algorithm: str) -> bytes:
    """What the dict has."""
    key = private_key(algorithm)
    return base64.b64encode(key) if isinstance(key, bytes) else pem(key)


def claims(**changes: object) -> dict[str, object]:
    """Of a good token; a claim that is changed to None is left out."""
    now = int(time.time())
    made: dict[str, object] = {"sub": "4711", "email": USER, "iat": now, "nbf": now, "exp": now + 300}
    return {name: value for name, value in (made | changes).items() if value is not None}


def token(
    algorithm: str = "RS256", payload: dict[str, object] | None = None, headers: dict[str, Any] | None = None
) -> str:
    octets = json.dumps(claims() if payload is None else payload).encode()
    return jwt.PyJWS().encode(octets, private_key(algorithm), algorithm, headers)  # no checks of claims here


def part(value: object) -> str:
    """One part of a token that no library would make."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


async def local_driver(keys: Mapping[str, bytes] | None = None, **settings: Any) -> Oauth2:
    """A passdb oauth2 with introspection_mode = local; ``keys``: what the dict has, by default one of each kind."""
    if keys is None:
        keys = {f"shared/default/{name}/default": stored_key(name) for name in ALGORITHMS}
    made = PassdbSettings(
        name="oauth2",
        oauth2_introspection_mode="local",
        oauth2_keys=DictSettings(name="keys", driver="memory"),
        **settings,
    )
    driver = Oauth2(made, driver_context())
    assert driver._local is not None
    transaction = driver._local._keys._dict.transaction("")
    for path, value in keys.items():
        transaction.set(path, value)
    if keys:
        assert (await transaction.commit()).ok
    return driver
