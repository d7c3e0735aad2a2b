"""passdb imap: a name and password are right when a remote IMAP server lets them in (``imapc_…`` settings).

It stores nothing, so it answers no lookups. One connection a verification, at most ``imapc_max_connections`` at once.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from roost.auth.api import Entry, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.settings.variables import check, expand, variables_of
from roost.util.secret import Secret
from services.auth.passdb.base import DriverContext

if TYPE_CHECKING:
    import ssl

    from roost.clients.imap_login.connection import Server

OWNER = "owner_user"
PORTS = {"imaps": 993}
PORT = 143
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


class Imap:
    """See the head of this file."""

    verifies = True
    credentials = False
    concurrent = 100

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        if not settings.imapc_host:
            raise ConfigError("The server is missing", key="imapc_host")
        self._host, self._user = settings.imapc_host, settings.imapc_user
        for template in (self._host, self._user):
            check(template)
        self._names = (variables_of(self._host) | variables_of(self._user)) - {OWNER} | {"user"}
        self.variables: frozenset[str] | None = None if any(":" in name for name in self._names) else self._names
        self._port = settings.imapc_port or PORTS.get(settings.imapc_ssl, PORT)
        self._starttls = settings.imapc_ssl == "starttls"
        self._tls = _context(settings) if settings.imapc_ssl != "no" else None
        self._timeout_secs = settings.imapc_timeout_secs
        self._places = asyncio.Semaphore(settings.imapc_max_connections)
        self._waiting = 0
        self._max_waiting = settings.imapc_max_waiting

    async def find(self, query: Query) -> Entry | None:
        return Entry(outcome=Outcome.SCHEME_NOT_AVAILABLE, reason="imap answers no lookups")

    def decoy(self) -> str:
        return ""

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        """Raises Unavailable."""
        from roost.clients.imap_login.connection import try_login
        from roost.clients.imap_login.conversation import LoginResult

        server, user = self._server(query)
        if server is None or not user:
            return None
        if self._waiting >= self._max_waiting:
            raise _unavailable("too many verifications wait (imapc_max_waiting)")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_secs):
                await self._places.acquire()
        except TimeoutError:
            raise _unavailable("waited too long for a place (imapc_max_connections)") from None
        finally:
            self._waiting -= 1
        try:
            done = await try_login(server, user.encode("utf-8", "surrogateescape"), password, self._timeout_secs)
        finally:
            self._places.release()
        if done.result is LoginResult.OK:
            return Entry()
        if done.result is LoginResult.REFUSED:
            return Entry(outcome=Outcome.MISMATCH, reason=done.why)
        if done.result is LoginResult.EXPIRED:
            return Entry(outcome=Outcome.EXPIRED, reason=done.why)
        raise _unavailable(f"{server.host}:{server.port}: {done.why}")

    def _server(self, query: Query) -> tuple[Server | None, str]:
        """Which server is asked about whom. None: the user's name makes no host. Raises ConfigError."""
        from roost.clients.imap_login.connection import Server

        variables = query.variables(self._names)
        variables[OWNER] = query.user
        variables.update((f"passdb:{name}", value) for name, value in query.passdb_fields.items())
        host = expand(self._host, variables)
        if _HOST.fullmatch(host) is None:
            return None, ""
        return Server(host, self._port, self._tls, self._starttls), expand(self._user, variables)


def _unavailable(why: str) -> Unavailable:
    return Unavailable("Temporary authentication failure.", detail=f"imap: {why}")


def _context(settings: PassdbSettings) -> ssl.SSLContext:
    """Raises ConfigError."""
    from services.auth.http_settings import tls_context  # only who configures TLS here pays for the HTTP client's rules

    return tls_context(settings)
