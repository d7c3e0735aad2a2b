"""PostgreSQL servers, by asyncpg. Values cross as text both ways, as with libpq: a parameter takes the type that the
query gives it, and a column comes as the server writes it.

Each server (``pgsql_server``) has a bounded number of connections, made when needed. One that cannot be reached is left
alone for a growing time, and another one is asked. A question that a dying connection swallowed is put once more.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import asyncpg

from roost.errors import ConfigError, RoostError, Unavailable
from roost.events.log import Log
from roost.settings.schema.sql import SqlSettings
from services.auth.sql.pgsql_server import Server
from services.auth.sql.rows import FAILURE, Rows

T = TypeVar("T")

STREAM_ROWS = 1000
MAX_CASTS = 50
_UNTYPED = re.compile(r"could not determine data type of parameter \$(\d+)")
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    OSError,
)


class Pgsql:
    """See the head of this file."""

    def __init__(self, settings: SqlSettings, log: Log) -> None:
        if not settings.pgsql:
            raise ConfigError("sql_driver = pgsql needs a section pgsql HOST { … }", key="pgsql")
        self._servers = [Server(one, settings, log) for one in settings.pgsql]
        self._next = 0
        self._timeout_secs = settings.sql_query_timeout_msecs / 1000
        self._queue_limit = settings.sql_queue_limit
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._casts: dict[str, str] = {}  # queries whose parameters the server could not guess the types of

    async def rows(self, text: str, values: Sequence[str]) -> Rows:
        async def work(connection: Any) -> Rows:
            found = await connection.fetch(self._casts.get(text, text), *values)
            return Rows(list(found[0].keys()), [tuple(row.values()) for row in found]) if found else Rows((), ())

        return await _task(self._guarded(text, work, again=True))

    async def change(self, text: str, values: Sequence[str]) -> int:
        async def work(connection: Any) -> int:
            tag = str(await connection.execute(self._casts.get(text, text), *values))
            return int(tag.rpartition(" ")[2]) if tag[-1:].isdigit() else 1

        return await _task(self._guarded(text, work, again=False, secret=True))

    async def stream(self, text: str, values: Sequence[str]) -> AsyncIterator[Rows]:
        server, connection = await _task(self._acquire())
        whole = False
        try:
            transaction = connection.transaction(readonly=True)
            cursor = await _task(self._begin(connection, transaction, text, values))
            while found := await _task(asyncio.wait_for(cursor.fetch(STREAM_ROWS), self._timeout_secs)):
                yield Rows(list(found[0].keys()), [tuple(row.values()) for row in found])
            await _task(transaction.rollback())
            whole = True
        except (asyncpg.PostgresError, *LOST) as error:
            raise server.failure(self._too_long() if isinstance(error, TimeoutError) else _text(error)) from None
        finally:
            self._release(server, connection, usable=whole)

    async def close(self) -> None:
        if self._loop is asyncio.get_running_loop():
            for server in self._servers:
                await _task(server.close())

    async def _begin(self, connection: Any, transaction: Any, text: str, values: Sequence[str]) -> Any:
        async with asyncio.timeout(self._timeout_secs):
            await transaction.start()
            return await connection.cursor(text, *values)

    async def _guarded(self, text: str, work: Callable[[Any], Awaitable[T]], *, again: bool, secret: bool = False) -> T:
        """``work`` with a connection. ``again``: it may be done twice. ``secret``: an error may show a value."""
        attempts = 2 if again else 1
        while True:
            server, connection = await self._acquire()
            usable = False
            try:
                async with asyncio.timeout(self._timeout_secs):
                    result = await work(connection)
                usable = True
                return result
            except asyncpg.IndeterminateDatatypeError as error:
                usable = True
                if not self._cast(text, str(error)):
                    raise server.failure(_text(error)) from None
            except ValueError as error:  # from asyncpg itself: a value that a type cannot have
                usable = True
                raise server.failure(type(error).__name__ if secret else _text(error)) from None
            except LOST as error:
                attempts -= 1
                if not attempts or isinstance(error, TimeoutError):
                    why = self._too_long() if isinstance(error, TimeoutError) else _text(error)
                    raise server.failure(why) from None
            except asyncpg.PostgresError as error:
                usable = True
                why = f"{type(error).__name__} ({error.sqlstate})" if secret else _text(error)
                raise server.failure(why) from None
            finally:
                self._release(server, connection, usable=usable)

    def _cast(self, text: str, error: str) -> bool:
        """From now on, the parameter that the server asks about is a text. False: it is none of ours."""
        found = _UNTYPED.search(error)
        now = self._casts.get(text, text)
        if found is None or len(self._casts) >= MAX_CASTS:
            return False
        made = re.sub(rf"\${found[1]}(?![0-9])(?!::)", f"${found[1]}::text", now)
        if made == now:
            return False
        self._casts[text] = made
        return True

    def _too_long(self) -> str:
        return f"the query took longer than {self._timeout_secs:g} seconds (sql_query_timeout)"

    # --- connections

    async def _acquire(self) -> tuple[Server, Any]:
        """A connection to any server that answers; waits for one of ours to become free. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._waiters.clear()
            for server in self._servers:
                server.forget()
        deadline = loop.time() + self._timeout_secs
        failure: RoostError | None = None
        while True:
            busy = False
            for turn in range(len(self._servers)):
                server = self._servers[(self._next + turn) % len(self._servers)]
                connection = server.idle()
                if connection is None and server.resting(loop.time()):
                    continue
                if connection is None and server.full:
                    busy = True
                    continue
                self._next = (self._next + turn + 1) % len(self._servers)
                if connection is not None:
                    return server, connection
                try:
                    return server, await server.connect()
                except Unavailable as error:
                    failure = error
                    self._wake()
                    break  # look again: others may be free
            else:
                if not busy:
                    raise failure or self._servers[0].failure("not reachable, waiting before the next attempt")
                await self._wait(deadline)

    async def _wait(self, deadline: float) -> None:
        assert self._loop is not None
        if len(self._waiters) >= self._queue_limit:
            raise Unavailable(FAILURE, detail=f"pgsql: {len(self._waiters)} queries wait (sql_queue_limit)")
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError:
            raise Unavailable(FAILURE, detail="pgsql: no connection became free (connection_limit)") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.cancelled():
                self._wake()  # it was our turn, and we are gone

    def _release(self, server: Server, connection: Any, *, usable: bool) -> None:
        server.release(connection, usable=usable)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


async def _task(work: Coroutine[Any, Any, T]) -> T:
    """As a task, which asyncpg needs: the room drives its coroutines without one."""
    return await asyncio.get_running_loop().create_task(work)


def _text(error: BaseException) -> str:
    """An error's first line: what follows may quote a row."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
