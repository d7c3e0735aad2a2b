"""One user's database as this process has it open: connections, reading, both ways of writing, and damage.

Everything runs on the loop thread, except what the writer does on its own. ``inline`` transactions do not wait for the
disk (flags), ``submit`` is a durable one on the writer's thread, ``upkeep`` one that nobody waits for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import apsw

from roost import durable
from roost.errors import Corrupt, ReadOnly, RoostError, Unavailable
from roost.storage.backends.sqlite.bodies import BlobFolder
from roost.storage.backends.sqlite.connection import (
    READ_BUSY_MSECS,
    create_database,
    keep_wal,
    open_connection,
    translate,
    translate_os,
)
from roost.storage.backends.sqlite.schema import check_schema, image
from roost.storage.backends.sqlite.transaction import LOG, Transaction
from roost.storage.backends.sqlite.watch import Watch, only_one_commit_between
from roost.storage.backends.sqlite.writer import Commit, Job, Writer
from roost.storage.journal import Entry
from roost.storage.waiting import Coming

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.backend import SqliteBackend

T = TypeVar("T")

DAMAGED_SECS = 60  # a store found damaged is not opened again before
INLINE_COMMITS_TO_CHECKPOINT = 800


class Database:
    """The part of ``Store`` that knows SQLite and nothing of mailboxes."""

    def __init__(self, backend: SqliteBackend, path: str, username: str) -> None:
        self.backend = backend
        self.path = path
        self.username = username
        self.blobs = BlobFolder(os.path.join(os.path.dirname(path), "blobs"))
        self.writer = Writer(backend.pool, path, username, backend.limits.mail_fsync, self._head, self._finished)
        self.connection: apsw.Connection | None = None
        self.ready = False  # open, and INBOX exists
        self.used = 0  # the backend's tick at the last use
        self.pending = 0  # jobs not answered yet
        self.wrote = False  # since it was opened or wound down
        self._watch: Watch | None = None
        self._seen = b""  # the head of the watch that memory is up to date with
        self._inline_commits = 0
        self._changes = 0  # rows changed by the connection when the inline transaction began
        self._identity = (0, 0)
        self._damaged: Corrupt | None = None
        self._damaged_at = 0.0

    # -- opening and closing ----------------------------------------------------------------------------------------

    def open_database(self, opened: Callable[[], None]) -> bool:
        """Connect, making the file for a new user; ``opened`` reads what the store wants in memory. False: was open.

        Raises Unavailable, Corrupt, ReadOnly.
        """
        if self._damaged is not None:
            if self.backend.clock.now() < self._damaged_at + DAMAGED_SECS or not self.idle:
                raise Corrupt(self._damaged.client_text, detail=self._damaged.detail)
            self.close()
            self._damaged = None
        if self.connection is not None:
            return False
        self.guard(self._connect, opened)
        return True

    def _connect(self, opened: Callable[[], None]) -> None:
        self.backend.check_place(self.path)
        if not os.path.exists(self.path):
            create_database(self.path, image())
        if not os.path.getsize(self.path):
            raise Corrupt("The mail store is damaged", detail=f"{self.path}: empty file")
        normal = "off" if self.backend.limits.mail_fsync == "never" else "normal"
        connection = open_connection(self.path, normal, for_writing=False)
        try:
            check_schema(connection, self.path)
            self._watch = Watch(self.path)
            self._seen = self._watch.head()
            self._identity = _identity_of(self.path)
            self.connection = connection
            opened()
            connection.set_busy_timeout(0)  # from here on nothing on the loop waits for a lock
        except BaseException:
            self.connection = None
            connection.close()
            if self._watch is not None:
                self._watch.close()
                self._watch = None
            raise

    def close(self) -> None:
        """Let go of everything; only while idle. The next call opens it again."""
        self.ready = False
        if self.connection is not None:
            connection, self.connection = self.connection, None
            try:
                keep_wal(connection, self.writer.connection is not None)
                connection.close()
            except apsw.Error:
                pass
        self.writer.close_connection()
        if self._watch is not None:  # after the connections: see watch.py
            self._watch.close()
            self._watch = None

    def lost(self) -> bool:
        """Is the file that we have open no longer the one at our path (removed or restored behind our back)?"""
        try:
            return self._identity != _identity_of(self.path)
        except OSError:
            return True

    @property
    def idle(self) -> bool:
        return self.pending == 0 and self.writer.idle

    def guard(self, function: Callable[..., T], *args: Any) -> T:
        """Call it with SQLite's and the system's errors turned into ours; damage is remembered and logged once."""
        try:
            return function(*args)
        except apsw.Error as exc:
            raise self.failed(translate(exc, self.path)) from exc
        except OSError as exc:
            raise self.failed(translate_os(exc, self.path)) from exc
        except (Corrupt, Unavailable, ReadOnly) as exc:
            raise self.failed(exc) from exc

    def failed(self, error: RoostError) -> RoostError:
        """Note what went wrong with the database."""
        if isinstance(error, Corrupt) and self._damaged is None:
            self._damaged, self._damaged_at = error, self.backend.clock.now()
            self.ready = False
            self.backend.log("error", f"Store of {self.username} is damaged, no other is affected: {error.detail}")
        elif isinstance(error, (Unavailable, ReadOnly)):
            self.backend.complain(f"Store of {self.username}: {error.detail}")
        return error

    # -- reading ----------------------------------------------------------------------------------------------------

    def query(self, sql: str, args: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a statement that reads. Raises Unavailable, Corrupt."""
        try:
            return self.rows(sql, args)
        except apsw.Error as exc:
            raise self.failed(translate(exc, self.path)) from exc

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[Any]:
        """``query`` with SQLite's own errors. Only a recovery or truncation locks readers: that is waited for."""
        connection = self.connection
        assert connection is not None
        try:
            return connection.execute(sql, args).fetchall()
        except apsw.BusyError:
            connection.set_busy_timeout(READ_BUSY_MSECS)
            try:
                return connection.execute(sql, args).fetchall()
            finally:
                connection.set_busy_timeout(0)

    # -- writing ----------------------------------------------------------------------------------------------------

    def lock_inline(self) -> bool:
        """BEGIN IMMEDIATE without waiting; False when somebody else has the lock."""
        assert self.connection is not None
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        except apsw.Error as exc:
            raise self.failed(translate(exc, self.path)) from exc
        self._changes = self.connection.total_changes()
        return True

    def commit_inline(self, tx: Transaction) -> None:
        """COMMIT without a wait for the disk; the memory does not know of it yet. Raises Unavailable, ReadOnly."""
        assert self.connection is not None and self._watch is not None
        before = self._watch.head()
        wrote = self.connection.total_changes() != self._changes
        durable.crash_point("store-inline-commit")
        try:
            self.connection.execute("COMMIT")
        except apsw.Error as exc:
            self.rollback()
            raise self.failed(translate(exc, self.path)) from exc
        if wrote:  # else another process's commit could be taken for this one
            self._committed_inline(before)

    def log_inline(self, row: tuple[object, ...]) -> bool:
        """One journal row as a transaction of its own, without a wait for the disk.

        Memory is up to date, and the row's modseq is the next one: False when somebody else has just taken that, or
        has the lock. Raises Unavailable, ReadOnly.
        """
        assert self.connection is not None
        durable.crash_point("store-log-inline")
        try:
            self.connection.execute(LOG, row)
        except (apsw.BusyError, apsw.ConstraintError):
            return False
        except apsw.Error as exc:
            raise self.failed(translate(exc, self.path)) from exc
        self._committed_inline(self._seen)
        return True

    def _committed_inline(self, before: bytes) -> None:
        """``before`` is the watch's head that memory, together with this commit, is up to date with."""
        assert self._watch is not None
        durable.crash_point("store-inline-committed")
        after = self._watch.head()
        if only_one_commit_between(before, after):
            self._seen = after
        self.wrote = True
        self._inline_commits += 1
        if self._inline_commits >= INLINE_COMMITS_TO_CHECKPOINT:
            self._inline_commits = 0
            self.writer.checkpoint_due = True
            self.upkeep(lambda tx: None)

    def rollback(self) -> None:
        """End a transaction that comes to nothing."""
        connection = self.connection
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except apsw.Error:
                pass

    async def submit(
        self,
        run: Callable[[Transaction], T],
        *,
        prepare: Callable[[], None] | None = None,
        undo: Callable[[], None] | None = None,
        appends: bool = False,
    ) -> T:
        """Do it in the writer's next transaction; durable on return."""
        answer: Coming[T] = Coming()
        job = Job(run, answer, prepare=prepare, undo=undo, appends=appends)
        self.wrote = True
        self.pending += 1
        self.writer.submit(job)
        try:
            return await answer
        except BaseException as exc:
            job.cancelled = True
            if isinstance(exc, RoostError):
                raise self.failed(exc) from exc.__cause__
            raise

    def upkeep(
        self,
        run: Callable[[Transaction], Any],
        *,
        prepare: Callable[[], None] | None = None,
        after: Callable[[Any], None] | None = None,
    ) -> None:
        """Housekeeping on the writer's thread; nobody waits for it."""
        self.pending += 1
        self.writer.submit(Job(run, None, prepare=prepare, after=after, durable=False))

    def _head(self) -> bytes:
        """On the writer's thread."""
        watch = self._watch
        return watch.head() if watch is not None else b""

    def _finished(self, jobs: list[Job], commit: Commit | None) -> None:
        """On the writer's thread."""
        self.backend.clock.call_soon(self._answer, jobs, commit)

    def _answer(self, jobs: list[Job], commit: Commit | None) -> None:
        if (
            commit is not None
            and commit.before == self._seen
            and only_one_commit_between(commit.before, commit.after)
            and self.take_over(commit.entries)
        ):
            self._seen = commit.after
        self.backend.answered(self, jobs)  # type: ignore[arg-type]  # every one is a Store

    def take_over(self, entries: list[tuple[int, Entry]]) -> bool:
        """These (mailbox, entry) are all that was committed lately: False to read them back from the journal."""
        return False


def _identity_of(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
