"""passdb oauth2: verifies access tokens (OAUTHBEARER, XOAUTH2, or in the place of a password), by asking a server or as
a signed JWT; with ``oauth2_grant_url``, name and password are shown to a server that grants a token for them.

It stores nothing, so it answers no lookups. Answers to tokens are never cached: they end when the token does.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from roost.auth.api import TOKEN_FAILURE, Entry, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.settings.variables import variables_of
from roost.util.secret import Secret
from services.auth.passdb.base import DriverContext
from services.auth.templates import FieldTemplates

if TYPE_CHECKING:
    from services.auth.oauth2.local import Local
    from services.auth.oauth2.members import Members

PREFIX = "oauth2:"
TOKEN = "access_token"
MISSING = (
    "introspection_mode = local needs the packages PyJWT and cryptography: install them (pip install 'roost[oauth2]'), "
    "or choose another mode"
)
_bearer = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1


class Oauth2:
    """See the head of this file."""

    verifies = True
    credentials = False
    concurrent = 1000

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        _check(settings)
        from services.auth.oauth2.remote import Remote  # only who configures this driver pays for the HTTP client
        from services.auth.oauth2.rules import Rules

        self.scope = " ".join(settings.oauth2_scope)
        self.openid_configuration = settings.oauth2_openid_configuration_url
        self._settings = settings
        self._rules = Rules(settings)
        self._templates = FieldTemplates(settings.oauth2_fields)
        self._remote = Remote(settings, context.log)
        self._local = _local(settings) if settings.oauth2_introspection_mode == "local" else None
        self._asks = bool(settings.oauth2_tokeninfo_url or settings.oauth2_introspection_url)
        self._validates = self._asks or self._local is not None
        wanted = {name for text in settings.fields.values() for name in variables_of(text)}
        self._wanted = [name.removeprefix(PREFIX) for name in sorted(wanted) if name.startswith(PREFIX)]
        names = self._rules.variables | self._templates.variables | {"user"}
        self.variables: frozenset[str] | None = None
        if not self._validates and not any(":" in name for name in names):
            self.variables = names  # a grant is about a password, which lasts

    async def find(self, query: Query) -> Entry | None:
        return Entry(outcome=Outcome.SCHEME_NOT_AVAILABLE, reason="oauth2 answers no lookups")

    def decoy(self) -> str:
        return ""

    async def verify_token(self, query: Query, token: Secret) -> Entry | None:
        """Is it a good token of this user? Raises Unavailable."""
        return await self._judged(query, token, None)

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        """A password for a grant, or a token. Raises Unavailable."""
        return await self._judged(query, password, password if self._settings.oauth2_grant_url else None)

    async def close(self) -> None:
        await self._remote.close()
        if self._local is not None:
            await self._local.close()

    async def _judged(self, query: Query, token: Secret, password: Secret | None) -> Entry:
        from services.auth.oauth2.members import NotAnObject
        from services.auth.oauth2.rules import TokenRefused

        try:
            if password is not None:
                members, named = await self._granted(query, password)
            else:
                members, named = await self._valid(query, self._formed(token)), True
            self._rules.check(query, members, time.time(), named=named)
        except (TokenRefused, NotAnObject) as error:
            failure = getattr(error, "failure", "")
            outcome = getattr(error, "outcome", Outcome.MISMATCH)
            return Entry(None, {TOKEN_FAILURE: failure} if failure else {}, outcome, str(error))
        fields = self._templates.expanded(query, members, PREFIX.removesuffix(":")) if self._templates else {}
        return Entry(None, fields, variables={PREFIX + name: members.get(name, "") for name in self._wanted})

    def _formed(self, token: Secret) -> str:
        """The token as text, when it has the form of one. Raises TokenRefused."""
        from services.auth.oauth2.rules import TokenRefused

        octets = token.reveal()
        if len(octets) > self._settings.oauth2_max_token_octets:
            raise TokenRefused(f"Token is too long ({len(octets)} octets; oauth2_max_token_size)")
        if _bearer.fullmatch(octets) is None:
            raise TokenRefused("Not a token")
        return octets.decode("ascii")

    async def _granted(self, query: Query, password: Secret) -> tuple[Members, bool]:
        """What is known of the user after a grant, and whether he must be named in it: the grant's own server has
        proved him already. Raises TokenRefused, Unavailable."""
        from services.auth.oauth2.members import Members

        granted = await self._remote.grant(query, query.user, password.reveal().decode("utf-8", "surrogateescape"))
        token = granted.single(TOKEN)
        if not token:
            raise Unavailable(
                "Temporary authentication failure.", detail="oauth2: grant: no access_token in the answer"
            )
        if not self._validates:
            return granted, False
        more = await self._valid(query, self._formed(Secret.from_text(token)))
        return Members({**granted.raw, **more.raw}), True

    async def _valid(self, query: Query, token: str) -> Members:
        """What is known of a valid token. Raises TokenRefused, NotAnObject, Unavailable."""
        from services.auth.oauth2.members import Members
        from services.auth.oauth2.rules import TokenRefused

        settings = self._settings
        raw: dict[str, object] = {}
        if self._local is not None:
            raw |= (await self._local.validate(token.encode("ascii"), time.time())).raw
        elif not self._asks:
            raise TokenRefused("There is no way to verify tokens (only oauth2_grant_url is set)")
        else:
            enough = False
            if settings.oauth2_tokeninfo_url:
                told = await self._remote.tokeninfo(query, token)
                raw |= told.raw
                enough = self._rules.complete(told) and not settings.oauth2_force_introspection
            if settings.oauth2_introspection_url and not enough:
                raw |= (await self._remote.introspect(query, token)).raw
        raw.setdefault(TOKEN, token)
        return Members(raw)


def _local(settings: PassdbSettings) -> Local:
    """Raises ConfigError."""
    try:
        from services.auth.oauth2.local import Local
    except ImportError as error:
        raise ConfigError(f"{MISSING} ({error})", key="oauth2_introspection_mode") from None
    return Local(settings)


def _check(settings: PassdbSettings) -> None:
    """Raises ConfigError."""
    mode = settings.oauth2_introspection_mode
    key = "oauth2_introspection_mode"
    urls = settings.oauth2_tokeninfo_url or settings.oauth2_introspection_url or settings.oauth2_grant_url
    if not urls and mode != "local":
        raise ConfigError(
            "No way to verify tokens: set oauth2_introspection_url, oauth2_tokeninfo_url or oauth2_grant_url, "
            "or introspection_mode = local",
            key=f"passdb {settings.name}",
        )
    if settings.oauth2_introspection_url and not mode:
        raise ConfigError("oauth2_introspection_url needs a mode: auth, get, post or local", key=key)
    if mode in ("auth", "get", "post") and not settings.oauth2_introspection_url:
        raise ConfigError(f"introspection_mode = {mode} needs oauth2_introspection_url", key=key)
    if settings.oauth2_client_secret and not settings.oauth2_client_id:
        raise ConfigError("oauth2_client_secret needs oauth2_client_id", key="oauth2_client_id")
    if settings.oauth2_client_id and not settings.oauth2_client_secret and mode != "local":
        raise ConfigError("oauth2_client_id needs oauth2_client_secret", key="oauth2_client_secret")
    if not settings.oauth2_username_attribute:
        raise ConfigError("The member that names the user is missing", key="oauth2_username_attribute")
