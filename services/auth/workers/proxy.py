"""Databases in workers, as the chains see them: the Protocols of ``roost.auth.api``, answered by ``WorkerPool``."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Entry, Query
from roost.errors import Unavailable
from roost.ipc import auth_worker as wire
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.workers.naming import VARIABLE, arguments_of, database_id
from services.auth.workers.pool import WorkerPool
from services.auth.workers.serving import OUTCOME_OF

CONCURRENT = "concurrent"
"""Attribute of a driver's factory: how many requests one worker may have at work for it, or a function of the
block's settings that says so. Default 1."""


def concurrent_of(factory: object, settings: PassdbSettings | UserdbSettings | None = None) -> int:
    """How many requests at once a driver of this factory takes in one process."""
    found = getattr(factory, CONCURRENT, 1)
    if callable(found):
        found = found(settings)
    return found if isinstance(found, int) and found > 0 else 1


class WorkerPassdb:
    """A passdb elsewhere. ``credentials``: whether mechanisms that see no password may count on it."""

    verifies = True  # the worker's driver may; where it does not, its entry comes back unverified

    def __init__(self, settings: PassdbSettings, pool: WorkerPool, *, concurrent: int, credentials: bool) -> None:
        self._id = database_id(settings)
        self._name = f"passdb {settings.name}"
        self._pool = pool
        self._concurrent = concurrent
        self.credentials = credentials
        self._typical = ""

    @property
    def variables(self) -> frozenset[str] | None:
        """What the driver says; not known before it has been asked something."""
        return self._pool.variables.get(self._id)

    def decoy(self) -> str:
        """What came last, else what the driver thought when the worker began."""
        return self._typical or self._pool.decoys.get(self._id, "")

    async def find(self, query: Query) -> Entry | None:
        return self._told(_entry(await self._ask(wire.PASSL, query, b"")))

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        return self._told(_entry(await self._ask(wire.PASSV, query, password.reveal())))

    def _told(self, entry: Entry | None) -> Entry | None:
        if entry is not None and entry.password:
            self._typical = entry.password
        return entry

    async def _ask(self, command: str, query: Query, secret: bytes) -> wire.Reply:
        tail = wire.request_tail(command, self._id, arguments_of(query), secret=secret)
        return await self._pool.ask(f"{self._name}: {command}({query.user[:64]})", tail, concurrent=self._concurrent)


class WorkerTokenPassdb(WorkerPassdb):
    """A passdb elsewhere that verifies tokens, too."""

    async def verify_token(self, query: Query, token: Secret) -> Entry | None:
        return _entry(await self._ask(wire.TOKEN, query, token.reveal()))


class WorkerUserdb:
    """A userdb elsewhere."""

    def __init__(self, settings: UserdbSettings, pool: WorkerPool, *, concurrent: int) -> None:
        self._id = database_id(settings)
        self._name = f"userdb {settings.name}"
        self._pool = pool
        self._concurrent = concurrent

    @property
    def variables(self) -> frozenset[str] | None:
        return self._pool.variables.get(self._id)

    async def find(self, query: Query) -> Mapping[str, str] | None:
        tail = wire.request_tail(wire.USER, self._id, arguments_of(query))
        reply = await self._pool.ask(f"{self._name}: USER({query.user[:64]})", tail, concurrent=self._concurrent)
        if reply.word == wire.OK:
            return reply.fields
        if reply.word == wire.NOTFOUND:
            return None
        raise Unavailable("Temporary failure.", detail=reply.reason or "the worker failed")

    def iterate(self) -> AsyncIterator[str] | None:
        tail = wire.request_tail(wire.LIST, self._id, arguments_of(Query("")))
        return self._pool.names(f"{self._name}: LIST", tail)


def remote_passdb(settings: PassdbSettings, factory: object, pool: WorkerPool) -> WorkerPassdb:
    """The block's passdb in the workers; ``factory`` makes the driver there, and says something of it here."""
    raw = inspect.unwrap(factory) if callable(factory) else factory
    credentials = getattr(raw, "credentials", not getattr(raw, "verifies", False))
    kind = WorkerTokenPassdb if hasattr(raw, "verify_token") else WorkerPassdb
    return kind(settings, pool, concurrent=concurrent_of(raw, settings), credentials=credentials is not False)


def remote_userdb(settings: UserdbSettings, factory: object, pool: WorkerPool) -> WorkerUserdb:
    raw = inspect.unwrap(factory) if callable(factory) else factory
    return WorkerUserdb(settings, pool, concurrent=concurrent_of(raw, settings))


def _entry(reply: wire.Reply) -> Entry | None:
    """Raises Unavailable."""
    compare = reply.word == wire.COMPARE
    if reply.result == wire.RESULT_UNKNOWN and not (compare or reply.reason or reply.fields):
        return None
    outcome = OUTCOME_OF.get(reply.result)
    if outcome is None:
        raise Unavailable("Temporary failure.", detail=reply.reason or "the worker failed")
    fields, variables = reply.fields, {}
    if any(name.startswith(VARIABLE) for name in fields):
        variables = {name.removeprefix(VARIABLE): text for name, text in fields.items() if name.startswith(VARIABLE)}
        fields = {name: text for name, text in fields.items() if not name.startswith(VARIABLE)}
    return Entry(reply.password or None, fields, outcome, reply.reason, compare, variables)
