"""Asking servers about tokens: tokeninfo, introspection (RFC 7662), and the password grant (RFC 6749 §4.3).

A 2xx answer without ``error`` is a valid token, another one or a 4xx an invalid token; everything else (no answer, 5xx,
what is not a JSON object, "too many requests", a server that does not know *us*) means that nothing is known. A token
goes behind an URL or into a form only percent-encoded, and its form was checked before.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from roost.auth.api import Query
from roost.clients.http.client import HttpClient
from roost.clients.http.message import Request
from roost.clients.http.url import BadUrl, parse_url
from roost.errors import ConfigError, Unavailable
from roost.events.log import Log
from roost.settings.schema.auth import PassdbSettings
from services.auth.http_settings import http_settings
from services.auth.oauth2.members import Members, NotAnObject, parse
from services.auth.oauth2.rules import TokenRefused

FORM = "application/x-www-form-urlencoded"
NO_VERDICT = frozenset({408, 425, 429})
OUR_FAULT = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
SHOWN_CHARS = 80


class Remote:
    """The servers of one passdb. Raises ConfigError."""

    def __init__(self, settings: PassdbSettings, log: Log) -> None:
        self._client = HttpClient(http_settings(settings), log)
        self._tokeninfo = _url("oauth2_tokeninfo_url", settings.oauth2_tokeninfo_url, prefix=True)
        self._mode = settings.oauth2_introspection_mode
        self._introspection = _url(
            "oauth2_introspection_url", settings.oauth2_introspection_url, prefix=self._mode == "get"
        )
        self._grant = _url("oauth2_grant_url", settings.oauth2_grant_url)
        self._tells_client = settings.oauth2_send_auth_headers
        self._scope = " ".join(settings.oauth2_scope)
        self._us: dict[str, str] = {}
        if settings.oauth2_client_id and settings.oauth2_client_secret:
            self._us = {"client_id": settings.oauth2_client_id, "client_secret": settings.oauth2_client_secret}

    async def tokeninfo(self, query: Query, token: str) -> Members:
        """Raises TokenRefused, Unavailable."""
        return await self._ask(query, "tokeninfo", "GET", self._tokeninfo + quote(token, safe=""))

    async def introspect(self, query: Query, token: str) -> Members:
        """Raises TokenRefused, Unavailable."""
        if self._mode == "get":
            members = await self._ask(query, "introspection", "GET", self._introspection + quote(token, safe=""))
        elif self._mode == "post":
            form = {"token": token, "token_type_hint": "access_token"}
            if parse_url(self._introspection).user is None:
                form |= self._us
            members = await self._ask(query, "introspection", "POST", self._introspection, form=form)
        else:
            bearer = {"Authorization": f"Bearer {token}"}
            members = await self._ask(query, "introspection", "GET", self._introspection, headers=bearer)
        if members.get("active", "true") == "false":  # RFC 7662 §2.2: of a token that is unknown or has expired
            raise TokenRefused("Token is not active")
        return members

    async def grant(self, query: Query, user: str, password: str) -> Members:
        """The answer to name and password. Raises TokenRefused, Unavailable."""
        form = {"grant_type": "password", "username": user, "password": password, **self._us}
        if self._scope:
            form["scope"] = self._scope
        return await self._ask(query, "grant", "POST", self._grant, form=form)

    async def _ask(
        self,
        query: Query,
        what: str,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Members:
        sent: dict[str, str | bytes] = {"Accept": "application/json", **(headers or {})}
        if self._tells_client:
            sent |= _about_client(query)
        body = None
        if form is not None:
            sent["Content-Type"] = FORM
            body = urlencode(form, errors="surrogateescape").encode("ascii")
        response = await self._client.request(Request(method, url, sent, body))
        status = response.status
        if response.failed or status in NO_VERDICT or status // 100 not in (2, 4):
            raise _unknown(f"{what}: {status} {response.reason[:SHOWN_CHARS]}")
        if status in (401, 403) and not response.body and method == "GET":
            raise TokenRefused(f"{what}: {status}")
        try:
            members = Members(parse(response.body))
        except NotAnObject as error:
            raise _unknown(f"{what}: {status}, and the answer is unusable: {error}") from None
        error_code = members.get("error")
        if status // 100 == 4 or error_code is not None:
            said = (error_code or "no error code")[:SHOWN_CHARS]
            if error_code in OUR_FAULT:
                raise _unknown(f"{what}: the server refuses us: {status} {said}")
            raise TokenRefused(f"{what}: {status} {said}")
        return members

    async def close(self) -> None:
        await self._client.close()


def _unknown(detail: str) -> Unavailable:
    return Unavailable("Temporary authentication failure.", detail=f"oauth2: {detail}")


def _url(key: str, text: str, *, prefix: bool = False) -> str:
    """An URL of the configuration, "" for none. ``prefix``: a token is appended. Raises ConfigError."""
    if text:
        try:
            parse_url(text + "x" if prefix else text)
        except BadUrl as error:
            raise ConfigError(f"Invalid URL: {error}", key=key) from None
    return text


def _about_client(query: Query) -> dict[str, str]:
    said = {"X-Dovecot-Auth-Protocol": query.service}
    for name, address, port in (("Local", "lip", "lport"), ("Remote", "rip", "rport")):
        if query.parameters.get(address):
            said[f"X-Dovecot-Auth-{name}"] = _endpoint(query.parameters[address], query.parameters.get(port, ""))
    return {name: value for name, value in said.items() if value and value.isprintable() and value.isascii()}


def _endpoint(address: str, port: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port}" if port else host
