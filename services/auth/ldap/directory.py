"""The servers of a block and the connections to them: a bounded number at work in threads, those free are kept.

A server that cannot be reached is left alone for a growing time, and the next one is asked. What a dying connection
swallowed is asked once more. Binds of users have connections of their own: searches go on as ``ldap_auth_dn``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import fields
from typing import TypeVar

from roost.auth.api import DriverContext, Outcome
from roost.errors import ConfigError, RoostError, Unavailable
from roost.events.log import Log
from roost.settings.schema.ldap import LdapSettings
from roost.worker.offload import Offload
from services.auth.ldap.connection import (
    INVALID_DN,
    NO_SUCH_OBJECT,
    SUCCESS,
    Connection,
    LdapError,
    check_uri,
)
from services.auth.ldap.templates import FAILURE, Answer

T = TypeVar("T")

FIRST_REST_SECS = 0.25
MOST_REST_SECS = 15.0
MOST_ENTRIES = 2  # one is wanted; the second says that the filter is not sharp
REFUSED = {
    NO_SUCH_OBJECT: Outcome.UNKNOWN,
    INVALID_DN: Outcome.UNKNOWN,
    48: Outcome.MISMATCH,  # inappropriateAuthentication: there is no password
    49: Outcome.MISMATCH,  # invalidCredentials
    50: Outcome.MISMATCH,  # insufficientAccessRights: may not bind
    53: Outcome.MISMATCH,  # unwillingToPerform: locked, by many servers
    19: Outcome.MISMATCH,  # constraintViolation: too many attempts
}


class Directory:
    """See the head of this file. Everything raises Unavailable."""

    def __init__(self, settings: LdapSettings, log: Log) -> None:
        self._uris = settings.ldap_uris.split()
        if not self._uris:
            raise ConfigError("name a server", key="ldap_uris")
        for uri in self._uris:
            check_uri(uri)
        if bool(settings.ldap_auth_dn) != bool(settings.ldap_auth_dn_password):
            raise ConfigError("ldap_auth_dn and ldap_auth_dn_password go together", key="ldap_auth_dn")
        self._settings = settings
        self._log = log
        self._lock = threading.Lock()
        self._idle: dict[bool, list[Connection]] = {False: [], True: []}
        self._rests: dict[str, tuple[float, float]] = {}  # address: until when, how long
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: Offload | None = None

    async def search(self, base: str, text: str, scope: str, attributes: Sequence[str], *, fixed: bool) -> list[Answer]:
        """``fixed``: the base is no user's doing, so its absence is a failure."""

        def ask(connection: Connection) -> list[Answer]:
            try:
                return connection.search(base, text, scope, attributes, MOST_ENTRIES)
            except LdapError as error:
                if error.code in (NO_SUCH_OBJECT, INVALID_DN) and not fixed:
                    return []
                raise

        return await self._run(lambda: self._with(False, ask))

    async def verify(self, dn: str, password: bytes) -> tuple[Outcome, str]:
        """Whether the server lets this user in, and what it says."""

        def ask(connection: Connection) -> tuple[Outcome, str]:
            code, why = connection.bind(dn, password)
            if code == SUCCESS:
                return Outcome.OK, ""
            if code not in REFUSED:
                raise LdapError(f"ldap_bind({dn}) failed: {why}", code=code, lost=True)
            return REFUSED[code], why

        return await self._run(lambda: self._with(True, ask))

    async def pages(self, base: str, text: str, attributes: Sequence[str]) -> AsyncIterator[list[Answer]]:
        source = self._pages(base, text, attributes)
        try:
            while (page := await self._run(lambda: next(source, None))) is not None:
                yield page
        finally:
            try:
                await self._run(source.close)
            except ValueError:
                pass  # it is at work still, for a caller that stopped waiting

    async def close(self) -> None:
        """End the connections that nobody uses. What is asked later makes new ones."""
        with self._lock:
            idle = [one for kept in self._idle.values() for one in kept]
            for kept in self._idle.values():
                kept.clear()
        for connection in idle:
            connection.close()

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        if self._threads is None or self._loop is not loop:
            limits = self._settings.ldap_connection_limit, self._settings.ldap_queue_limit
            self._loop, self._threads = loop, Offload(loop, threads=limits[0], waiting=limits[1])
        return await self._threads(work)

    # --- in a thread

    def _with(self, for_users: bool, ask: Callable[[Connection], T]) -> T:
        """``ask`` with a connection; once more with a new one when an old one turned out to be dead."""
        while True:
            connection, used = self._take(for_users)
            try:
                result = ask(connection)
            except LdapError as error:
                if not error.lost:
                    self._keep(for_users, connection)
                    raise self._failure(str(error)) from None
                connection.close()
                if not used or error.late:
                    raise self._failure(str(error)) from None
                continue
            except BaseException:
                connection.close()
                raise
            self._keep(for_users, connection)
            return result

    def _pages(self, base: str, text: str, attributes: Sequence[str]) -> Generator[list[Answer], None, None]:
        connection = self._open(False)
        try:
            yield from connection.pages(base, text, attributes)
        except LdapError as error:
            raise self._failure(str(error)) from None
        finally:
            connection.close()

    def _take(self, for_users: bool) -> tuple[Connection, bool]:
        with self._lock:
            idle = self._idle[for_users]
            if idle:
                return idle.pop(), True
        return self._open(for_users), False

    def _keep(self, for_users: bool, connection: Connection) -> None:
        with self._lock:
            if len(self._idle[for_users]) < self._settings.ldap_connection_limit:
                self._idle[for_users].append(connection)
                return
        connection.close()

    def _open(self, for_users: bool) -> Connection:
        """A new connection to the first server that can be reached. Raises Unavailable."""
        failure: RoostError | None = None
        for uri in self._uris:
            until, rested = self._rests.get(uri, (0.0, 0.0))
            if time.monotonic() < until:
                continue
            connection: Connection | None = None
            try:
                connection = Connection(uri, self._settings)
                if not for_users:
                    self._log_in(connection)
            except LdapError as error:
                if connection is not None:
                    connection.close()
                failure = self._rest(uri, rested, str(error))
                continue
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            if rested:
                self._rests.pop(uri, None)
                self._log.info(f"ldap({uri}): connected again")
            return connection
        raise failure or self._failure("no server can be reached, waiting before the next attempt")

    def _log_in(self, connection: Connection) -> None:
        settings = self._settings
        if settings.ldap_auth_dn:
            password = settings.ldap_auth_dn_password.encode("utf-8", "surrogateescape")
            code, why = connection.bind(settings.ldap_auth_dn, password)
            if code != SUCCESS:
                raise LdapError(f"binding as {settings.ldap_auth_dn} failed: {why}", code=code, lost=True)

    def _rest(self, uri: str, rested: float, why: str) -> Unavailable:
        secs = min(max(rested * 2, FIRST_REST_SECS), MOST_REST_SECS)
        with self._lock:
            if self._rests.get(uri, (0.0, 0.0))[1] == rested:  # others may have failed at the same time
                self._rests[uri] = time.monotonic() + secs, secs
                self._log.error(f"ldap({uri}): {why} - waiting for {secs:g} seconds before retry")
        return Unavailable(FAILURE, detail=f"ldap({uri}): {why}")

    def _failure(self, why: str) -> Unavailable:
        return Unavailable(FAILURE, detail=f"ldap({' '.join(self._uris)}): {why}")


def shared(settings: LdapSettings, context: DriverContext) -> Directory:
    """The directory of these settings. Raises ConfigError."""
    key = repr(("ldap", [getattr(settings, one.name) for one in fields(LdapSettings)]))
    found = context.shared.get(key)
    if not isinstance(found, Directory):
        found = context.shared[key] = Directory(settings, context.log)
    return found
