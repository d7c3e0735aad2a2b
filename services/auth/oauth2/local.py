"""Local validation: a JWT whose signature and claims we verify ourselves, without asking anybody.

``sub`` and ``exp`` must be there; ``nbf`` and ``iat`` may be one second ahead; ``exp`` may be past by the grace.
``aud`` must name our ``client_id``, if we have one. The rules for all tokens come on top.
"""

from __future__ import annotations

from roost.dict.opening import open_dict
from roost.errors import ConfigError
from roost.settings.schema.auth import PassdbSettings
from services.auth.oauth2 import signatures
from services.auth.oauth2.keys import Keys
from services.auth.oauth2.members import Members, NotAnObject
from services.auth.oauth2.rules import TokenRefused, number
from services.auth.oauth2.token import Jwt, take_apart

AHEAD_SECS = 1.0


class Local:
    """Raises ConfigError when it cannot be."""

    def __init__(self, settings: PassdbSettings) -> None:
        if settings.oauth2_keys is None:
            name = settings.oauth2_local_validation_dict
            raise ConfigError(
                f"there is no dict {name}"
                if name
                else "Named filter oauth2_local_validation is required to have dict setting, but it is missing",
                key="oauth2_local_validation",
            )
        self._keys = Keys(open_dict(settings.oauth2_keys), settings.oauth2_max_keys)
        self._client_id = settings.oauth2_client_id

    async def validate(self, token: bytes, now: float) -> Members:
        """The claims of a token that is signed and not out of its time. Raises TokenRefused, Unavailable."""
        jwt = take_apart(token)
        algorithm = jwt.algorithm
        if not isinstance(algorithm, str) or not signatures.supported(algorithm):
            raise TokenRefused("JWT of an algorithm that is not accepted")
        key = await self._keys.get(jwt.party, algorithm, jwt.key_id)
        if not signatures.is_signed(algorithm, key, jwt.signed, jwt.signature):
            raise TokenRefused("JWT with a wrong signature")
        return self._claims(jwt, now)

    def _claims(self, jwt: Jwt, now: float) -> Members:
        try:
            claims = Members(jwt.payload)
        except NotAnObject as error:
            raise TokenRefused(f"JWT whose payload {error}") from None
        if not claims.single("sub"):
            raise TokenRefused("JWT without sub")
        if number(claims.raw.get("exp")) is None:
            raise TokenRefused("JWT without exp, or with a malformed one")
        for name, what in (("nbf", "JWT is not valid yet"), ("iat", "JWT is issued in the future")):
            if name in claims.raw:
                since = number(claims.raw[name])
                if since is None:
                    raise TokenRefused(f"JWT with a malformed {name}")
                if since > now + AHEAD_SECS:
                    raise TokenRefused(what)
        if self._client_id and self._client_id not in _audience(claims.raw.get("aud")):
            raise TokenRefused("JWT is meant for somebody else (aud)")
        return claims

    async def close(self) -> None:
        await self._keys.close()


def _audience(aud: object) -> list[object]:
    return aud if isinstance(aud, list) else [aud]
