"""SQLite databases of somebody else: read in threads, never created. One door to apsw more: these connections have none
of the mail store's pragmas, and all but those of a rehash are read only.

A file that was replaced is opened anew; one that is missing, locked or damaged is a temporary failure as long as it is
that.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import apsw

from roost.errors import ConfigError, Unavailable
from roost.events.log import Log
from roost.settings.schema.sql import SqlSettings
from roost.worker.offload import Offload
from services.auth.sql.rows import FAILURE, Rows

T = TypeVar("T")

THREADS = 4
STREAM_ROWS = 1000
STEPS = 10_000  # of SQLite's machine between two looks at the clock


class Sqlite:
    """See the head of this file."""

    def __init__(self, settings: SqlSettings, log: Log) -> None:
        self._path = settings.sqlite_path
        if not self._path.startswith("/"):
            raise ConfigError("must be an absolute path", key="sqlite_path")
        self._busy_msecs = settings.sqlite_busy_timeout_msecs
        self._timeout_secs = settings.sql_query_timeout_msecs / 1000
        self._journal_mode = settings.sqlite_journal_mode
        self._queue_limit = settings.sql_queue_limit
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[int, int], apsw.Connection]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: Offload | None = None

    async def rows(self, text: str, values: Sequence[str]) -> Rows:
        def work() -> Rows:
            with self._connection() as connection:
                return _fetch(self._execute(connection, text, values), 2)

        return await self._run(work)

    async def change(self, text: str, values: Sequence[str]) -> int:
        return await self._run(lambda: self._change(text, values))

    async def stream(self, text: str, values: Sequence[str]) -> AsyncIterator[Rows]:
        source = self._batches(text, values)
        try:
            while (batch := await self._run(lambda: next(source, None))) is not None:
                yield batch
        finally:
            try:
                await self._run(source.close)
            except ValueError:
                pass  # it is at work still, for a caller that stopped waiting

    async def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close(True)

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        if self._threads is None or self._loop is not loop:
            self._loop, self._threads = loop, Offload(loop, threads=THREADS, waiting=self._queue_limit)
        return await self._threads(work)

    # --- in a thread

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        """A connection for reading, to the file that is there now; kept for the next one unless something fails."""
        identity: tuple[int, int] | None = None
        connection: apsw.Connection | None = None
        try:
            status = os.stat(self._path)
            identity = status.st_dev, status.st_ino
            connection = self._known(identity)
            if connection is None:
                connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
                connection.set_busy_timeout(self._busy_msecs)
            yield connection
            connection.set_progress_handler(None)
        except (apsw.Error, OSError) as error:
            if connection is not None:
                connection.close(True)
            raise self._failure(error) from None
        except BaseException:
            if connection is not None:
                connection.close(True)
            raise
        with self._lock:
            if len(self._idle) < THREADS:
                self._idle.append((identity, connection))
                return
        connection.close(True)

    def _known(self, identity: tuple[int, int]) -> apsw.Connection | None:
        """An open connection to this file; those to another one of this name are closed."""
        with self._lock:
            old = [connection for known, connection in self._idle if known != identity]
            self._idle = [pair for pair in self._idle if pair[0] == identity]
            found = self._idle.pop()[1] if self._idle else None
        for connection in old:
            connection.close(True)
        return found

    def _execute(self, connection: apsw.Connection, text: str, values: Sequence[str]) -> apsw.Cursor:
        self._limit_time(connection)
        return connection.execute(text, tuple(values))

    def _limit_time(self, connection: apsw.Connection) -> None:
        end = time.monotonic() + self._timeout_secs
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)

    def _batches(self, text: str, values: Sequence[str]) -> Generator[Rows, None, None]:
        """The rows of a long answer. The time that a query may take is that of a batch here."""
        with self._connection() as connection:
            cursor = self._execute(connection, text, values)
            while (batch := _fetch(cursor, STREAM_ROWS)).rows:
                yield batch
                self._limit_time(connection)

    def _change(self, text: str, values: Sequence[str]) -> int:
        connection: apsw.Connection | None = None
        try:
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(self._busy_msecs)
            if connection.execute("PRAGMA journal_mode").fetchone() != (self._journal_mode,):
                connection.execute(f"PRAGMA journal_mode={self._journal_mode}")
            with connection:
                self._execute(connection, text, values)
                changed: int = connection.changes()
            return changed
        except (apsw.Error, OSError) as error:
            raise self._failure(error) from None
        finally:
            if connection is not None:
                connection.close(True)

    def _failure(self, error: Exception) -> Unavailable:
        why = getattr(error, "strerror", None) or error
        if isinstance(error, apsw.InterruptError):
            why = f"the query took longer than {self._timeout_secs:g} seconds (sql_query_timeout)"
        elif isinstance(error, apsw.CantOpenError):
            why = f"{error} (a database in WAL mode needs a folder that the auth service may write, or its -shm file)"
        return Unavailable(FAILURE, detail=f"sqlite({self._path}): {why}")


def _fetch(cursor: apsw.Cursor, limit: int) -> Rows:
    try:
        names = [column[0] for column in cursor.get_description()]
    except apsw.ExecutionCompleteError:
        return Rows((), ())
    return Rows(names, list(islice(cursor, limit)))
