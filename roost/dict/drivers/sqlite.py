"""sqlite: one table in a WAL database, shared by processes. One thread does everything, so the loop never waits for a
lock or for the disk. The second door to apsw: its databases have none of the mail store's pragmas.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from roost import durable
from roost.dict.api import (
    COMMITTED,
    Batch,
    CommitResult,
    Flags,
    Key,
    Kind,
    Outcome,
    Surroundings,
    Values,
    increased,
)
from roost.dict.paths import PathTemplate
from roost.dict.threads import Threads
from roost.errors import RoostError, Unavailable
from roost.settings.schema.dict import DictSettings

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS dict (
    user BLOB NOT NULL,      -- x'' = shared
    key BLOB NOT NULL,       -- without shared/ or priv/
    value BLOB NOT NULL,
    expires REAL,            -- unix time; NULL = never
    PRIMARY KEY (user, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dict_expires ON dict (expires) WHERE expires IS NOT NULL;
"""
BUSY_PAUSE_SECS = 0.005
PURGE_ROWS = 100  # expired rows removed by one commit
_ALIVE = "(expires IS NULL OR expires > ?)"
LOOKUP = f"SELECT value FROM dict WHERE user = ? AND key = ? AND {_ALIVE}"
SET = "INSERT OR REPLACE INTO dict (user, key, value, expires) VALUES (?, ?, ?, ?)"
UNSET = "DELETE FROM dict WHERE user = ? AND key = ?"
INC = "UPDATE dict SET value = ?, expires = coalesce(?, expires) WHERE user = ? AND key = ?"
PURGE = (
    "DELETE FROM dict WHERE (user, key) IN "
    "(SELECT user, key FROM dict WHERE expires IS NOT NULL AND expires <= ? LIMIT ?)"
)


class SqliteDriver:
    loop_bound = False

    def __init__(self, settings: DictSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._clock = surroundings.clock
        self._path = PathTemplate(settings.sqlite_path, "dict_sqlite_path", surroundings)
        self._threads = Threads(1, settings.max_waiting)
        self._open: OrderedDict[str, apsw.Connection] = OrderedDict()

    async def lookup(self, key: Key, user: str) -> Values | None:
        def work(database: apsw.Connection) -> Values | None:
            row = database.execute(LOOKUP, (key.user_octets, key.octets, self._clock())).fetchone()
            return None if row is None else (bytes(row[0]),)

        return await self._ask(user, work)

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        def work(database: apsw.Connection) -> list[tuple[Key, Values]]:
            query, bindings = _query(path, flags, self._clock(), limit)
            return [
                (Key(path.user, bytes(key).decode("utf-8", "surrogateescape")), (bytes(value),))
                for key, value in database.execute(query, bindings)
            ]

        return await self._ask(user, work)

    async def apply(self, batch: Batch) -> CommitResult:
        try:
            path = await self._path.of(batch.user)
            return await self._threads.run(lambda: self._change(path, batch))
        except RoostError as error:
            return CommitResult(Outcome.FAILED, str(error))

    async def close(self) -> None:
        await self._threads.run(self._close_all)
        await self._threads.close()

    # --- in the thread

    async def _ask(self, user: str, work: Callable[[apsw.Connection], T]) -> T:
        path = await self._path.of(user)

        def guarded() -> T:
            try:
                return work(self._database(path))
            except (apsw.Error, OSError) as error:
                raise Unavailable("The dict cannot be read", detail=f"{path}: {error}") from None

        return await self._threads.run(guarded)

    def _database(self, path: str) -> apsw.Connection:
        """An open database; the one used longest ago is closed when there are many. Raises apsw.Error, OSError."""
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            return found
        durable.make_folder(path.rpartition("/")[0] or "/")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            database.set_busy_timeout(self._settings.sqlite_busy_timeout_msecs)
            self._wal(database)
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT")
        except BaseException:
            database.close()
            raise
        self._open[path] = database
        if len(self._open) > self._settings.max_open_files:
            self._open.popitem(last=False)[1].close()
        return database

    def _wal(self, database: apsw.Connection) -> None:
        """WAL mode; the switch of a new file does not wait for other processes by itself. Raises apsw.Error."""
        deadline = time.monotonic() + self._settings.sqlite_busy_timeout_msecs / 1000
        while database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            try:
                database.execute("PRAGMA journal_mode=WAL")
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(BUSY_PAUSE_SECS)

    def _change(self, path: str, batch: Batch) -> CommitResult:
        committing = False
        try:
            database = self._database(path)
            database.execute("BEGIN IMMEDIATE")
            try:
                result = self._steps(database, batch)
                if result.ok:
                    committing = True
                    durable.crash_point("dict-before-commit")
                    database.execute("COMMIT")
                    durable.crash_point("dict-after-commit")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                    committing = False
            return result
        except (apsw.Error, OSError) as error:
            # A COMMIT that failed and left no transaction to take back: nobody knows.
            return CommitResult(Outcome.UNCERTAIN if committing else Outcome.FAILED, f"{path}: {error}")

    def _steps(self, database: apsw.Connection, batch: Batch) -> CommitResult:
        now = self._clock()
        expires = now + batch.expire_secs if batch.expire_secs else None
        for kind, key, value, diff in batch.changes:
            names = (key.user_octets, key.octets)
            if kind is Kind.SET:
                database.execute(SET, (*names, value, expires))
            elif kind is Kind.UNSET:
                database.execute(UNSET, names)
            else:
                row = database.execute(LOOKUP, (*names, now)).fetchone()
                if row is None:
                    return CommitResult(Outcome.NOTFOUND, f"{key.full} doesn't exist")
                total = increased(bytes(row[0]), diff)
                if total is None:
                    return CommitResult(Outcome.FAILED, f"{key.full} is no number that can be changed by {diff}")
                database.execute(INC, (total, expires, *names))
        database.execute(PURGE, (now, PURGE_ROWS))
        return COMMITTED

    def _close_all(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _query(path: Key, flags: Flags, now: float, limit: int) -> tuple[str, tuple[bytes | float | int, ...]]:
    """The rows of an iteration: the key's index is used, and only what is wanted counts towards the limit."""
    query = f"SELECT key, value FROM dict WHERE user = ? AND {_ALIVE}"
    bindings: list[bytes | float | int] = [path.user_octets, now]
    prefix = path.octets
    if Flags.EXACT_KEY in flags and Flags.RECURSE not in flags:
        query += " AND key = ?"
        bindings.append(prefix)
    elif prefix:
        query += " AND key >= ? AND substr(key, 1, ?) = ?"
        bindings += [prefix, len(prefix), prefix]
        above = prefix.rstrip(b"\xff")
        if above:
            query += " AND key < ?"
            bindings.append(above[:-1] + bytes([above[-1] + 1]))
    if not flags & (Flags.RECURSE | Flags.EXACT_KEY):
        query += " AND instr(substr(key, ?), x'2f') = 0"
        bindings.append(len(prefix) + 1)
    return query + " LIMIT ?", (*bindings, limit)


def open_sqlite(settings: DictSettings, surroundings: Surroundings) -> SqliteDriver:
    """Raises ConfigError."""
    return SqliteDriver(settings, surroundings)
