"""Durable writes: a queue for each user, a few threads for all of them, one commit for everything that waits.

``submit`` puts a ``Job`` into the user's queue. A thread takes what is there (up to ``MAX_GROUP``), prepares each job
outside the lock, runs all of them in one transaction, and answers after the COMMIT, which is when the disk has them.
One user's jobs run one after another in order; different users' side by side. A job that fails undoes only itself.

A job cancelled while it waits is never run; one cancelled later is finished, and nobody hears of it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import apsw

from roost import durable
from roost.errors import Corrupt, RoostError, Unavailable
from roost.storage.api import Update
from roost.storage.backends.sqlite.connection import keep_wal, open_connection, translate, translate_os
from roost.storage.backends.sqlite.room import LogRoom
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.backends.sqlite.watch import only_one_commit_between
from roost.storage.journal import Entry

MAX_GROUP = 64
CHECKPOINT_PAGES = 1000  # the WAL is written back when it has grown to this (4 MB)


class Answer(Protocol):
    """What a job is awaited by."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exc: BaseException, /) -> None: ...


class Job:
    """One change. ``prepare`` runs before the transaction and outside every lock, ``run`` inside it.

    ``undo`` takes back what ``prepare`` did when the job comes to nothing. ``after`` runs when it is committed (on the
    thread). ``durable`` False: need not wait for the disk (upkeep). ``appends``: keeps ``Transaction.boxes`` right.
    """

    __slots__ = (
        "after",
        "answer",
        "appends",
        "cancelled",
        "durable",
        "error",
        "hints",
        "prepare",
        "result",
        "run",
        "undo",
    )

    def __init__(
        self,
        run: Callable[[Transaction], Any],
        answer: Answer | None,
        *,
        prepare: Callable[[], None] | None = None,
        undo: Callable[[], None] | None = None,
        after: Callable[[Any], None] | None = None,
        durable: bool = True,
        appends: bool = False,
    ) -> None:
        self.run = run
        self.answer = answer
        self.prepare = prepare
        self.undo = undo
        self.after = after
        self.durable = durable
        self.appends = appends
        self.cancelled = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.hints: list[Update] = []


class _Seat:
    """Where a thread of the pool sleeps; ``wake`` is held while it does."""

    __slots__ = ("wake", "writer")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.writer: Writer | None = None


class Pool:
    """The threads. Each is started when all others are busy, and stopped by ``close``.

    The thread that worked last is woken first: its memory is warm, and nobody else is woken in vain.
    """

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._work: deque[Writer] = deque()
        self._asleep: list[_Seat] = []
        self._closing = False
        self._lock = threading.Lock()

    def put(self, writer: Writer) -> None:
        """Let a thread work on this writer's queue."""
        with self._lock:
            if self._asleep:
                seat = self._asleep.pop()
                seat.writer = writer
                seat.wake.release()
                return
            self._work.append(writer)
            if len(self._threads) >= self._size:
                return
            thread = threading.Thread(target=self._run, name=f"store-writer-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        seat = _Seat()
        again: Writer | None = None
        while (writer := self._next(seat, again)) is not None:
            again = writer if writer.work() else None
            del writer  # while this thread waits it must not keep a store alive

    def _next(self, seat: _Seat, again: Writer | None) -> Writer | None:
        """The writer to work on, when there is one; None: the end. ``again`` has more to do, after those who wait."""
        with self._lock:
            if again is not None:
                self._work.append(again)
            if self._work:
                return self._work.popleft()
            if self._closing:
                return None
            self._asleep.append(seat)
        seat.wake.acquire()
        writer, seat.writer = seat.writer, None
        return writer

    def close(self) -> None:
        """After the last job; waits for the threads."""
        with self._lock:
            self._closing = True
            asleep, self._asleep = self._asleep, []
        for seat in asleep:
            seat.wake.release()
        for thread in self._threads:
            thread.join()
        self._threads = []


class Commit(NamedTuple):
    """What a group became: the watch's heads around it, and what it logged (mailbox, entry)."""

    before: bytes
    after: bytes
    entries: list[tuple[int, Entry]]


class Writer:
    """One user's queue and writing connection.

    ``finish(jobs, commit)`` is called on a thread after each group; ``commit`` is None when it was not exactly one.
    ``head`` is the watch's.
    """

    def __init__(
        self,
        pool: Pool,
        path: str,
        username: str,
        fsync: str,
        head: Callable[[], bytes],
        finish: Callable[[list[Job], Commit | None], None],
    ) -> None:
        self.pool = pool
        self.path = path
        self.username = username
        self.synchronous = "off" if fsync == "never" else "full"
        self.head = head
        self.finish = finish
        self.connection: apsw.Connection | None = None
        self.checkpoint_due = False
        self._waiting: list[Job] = []
        self._working = False
        self._lock = threading.Lock()
        self._wal_pages = 0
        self._room = LogRoom(path + "-wal")
        self._grew = False  # the transaction has written something
        self._commits: list[Commit] = []  # of the group at work
        self._after = b""  # the head after this writer's last commit, when nobody else's followed at once
        self._modseq = 0  # the last one at that time
        self._boxes: dict[int, tuple[int, int, str]] = {}  # ``Transaction.boxes`` at that time

    @property
    def idle(self) -> bool:
        return not self._working

    def submit(self, job: Job) -> None:
        """From any thread."""
        with self._lock:
            self._waiting.append(job)
            if self._working:
                return
            self._working = True
        self.pool.put(self)

    def work(self) -> bool:
        """On a thread of the pool: one group. True: there is more, to be done when others have had their turn."""
        with self._lock:
            jobs = self._waiting[:MAX_GROUP]
            del self._waiting[:MAX_GROUP]
        try:
            self._group(jobs)
        except BaseException as exc:  # our bug: whoever waits must hear of it
            for job in jobs:
                if job.error is None and job.result is None:
                    job.error = exc
        commits, self._commits = self._commits, []
        self.finish(jobs, commits[0] if len(commits) == 1 else None)
        self._checkpoint_if_due()
        with self._lock:
            self._working = bool(self._waiting)
            return self._working

    def close_connection(self) -> None:
        """Only while idle. The last connection of all processes removes the WAL file."""
        self._after = b""
        if self.connection is not None:
            connection, self.connection = self.connection, None
            try:
                keep_wal(connection, False)
                connection.close()
            except apsw.Error:
                pass

    # -- on the thread ----------------------------------------------------------------------------------------------

    def _group(self, jobs: list[Job]) -> None:
        ready = []
        for job in jobs:
            if job.cancelled:
                continue
            try:
                if job.prepare is not None:
                    job.prepare()
            except OSError as exc:
                job.error = translate_os(exc, self.path)
            except Exception as exc:
                job.error = exc
            else:
                ready.append(job)
        error = self._commit(ready) if ready else None
        if error is not None and len(ready) > 1 and not isinstance(error, Corrupt):
            for job in ready:
                error = self._commit([job])
                if error is not None:
                    job.error = error
        elif error is not None:
            for job in ready:
                job.error = error
        for job in jobs:
            if job.undo is not None and (job.error is not None or job not in ready):
                job.undo()
            elif job.error is None and job.after is not None and job in ready:
                job.after(job.result)

    def _commit(self, jobs: list[Job]) -> RoostError | None:
        """Run these in one transaction; the reason why none of them is done, or None."""
        connection = None
        try:
            connection = self._open()
            fast = not any(job.durable for job in jobs)
            if fast:
                connection.execute("PRAGMA synchronous=NORMAL")
            try:
                self._transaction(connection, jobs, synced=not fast and self.synchronous == "full")
            finally:
                if fast:
                    self._end(connection)
                    connection.execute("PRAGMA synchronous=" + self.synchronous)
        except apsw.Error as exc:
            return translate(exc, self.path)
        except OSError as exc:
            return translate_os(exc, self.path)
        finally:
            if connection is not None:
                self._end(connection)
        return None

    def _transaction(self, connection: apsw.Connection, jobs: list[Job], *, synced: bool) -> None:
        durable.crash_point("store-begin")
        connection.execute("BEGIN IMMEDIATE")
        if synced:
            self._room.make()
        before = self.head()
        # Nobody has committed since this writer did: the last modseq is still its own.
        modseq = self._modseq if before and before == self._after else None
        tx = Transaction(connection, self.username, int(time.time()), modseq)
        boxes, self._boxes = self._boxes, {}  # known again when this comes to its end
        if modseq is not None:
            tx.boxes = boxes
        for job in jobs:
            if job.cancelled:
                job.error = Unavailable("Cancelled before its turn")
            else:
                self._run_one(tx, job, alone=len(jobs) == 1)
        durable.crash_point("store-commit")
        if connection.in_transaction:
            self._grew = False
            connection.execute("COMMIT")
            if synced and self._grew:
                self._room.committed(self._wal_pages)
            if self._grew and before:  # else another process's commit could be taken for this one
                commit = Commit(before, self.head(), tx.entries)
                self._commits.append(commit)
                self._after = commit.after if only_one_commit_between(before, commit.after) else b""
                self._modseq = tx.modseq
            self._boxes = tx.boxes
        durable.crash_point("store-committed")

    def _run_one(self, tx: Transaction, job: Job, *, alone: bool) -> None:
        modseq, logged, tx.hints = tx.modseq, len(tx.entries), []
        if not alone:
            tx.execute("SAVEPOINT job")
        job.error = None
        if job.durable and not job.appends:  # upkeep does not touch what is in there
            tx.boxes.clear()
        try:
            job.result = job.run(tx)
            job.hints = tx.hints
        except (apsw.Error, OSError):
            raise
        except Exception as exc:
            job.error = exc
            tx.modseq = modseq
            del tx.entries[logged:]
            tx.boxes.clear()
            tx.execute("ROLLBACK" if alone else "ROLLBACK TO job")
        if not alone:
            tx.execute("RELEASE job")

    def _open(self) -> apsw.Connection:
        if self.connection is None:
            if not os.path.exists(self.path):
                raise FileNotFoundError(f"{self.path} is gone")
            connection = open_connection(self.path, self.synchronous, for_writing=True)
            connection.set_wal_hook(self._on_commit)
            self._room = LogRoom(self.path + "-wal")
            self.connection = connection
        return self.connection

    def _on_commit(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        self._grew = True
        return 0

    @staticmethod
    def _end(connection: apsw.Connection) -> None:
        """Leave no transaction behind."""
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except apsw.Error:
                pass

    def _checkpoint_if_due(self) -> None:
        connection = self.connection
        if connection is None or not (self.checkpoint_due or self._wal_pages >= CHECKPOINT_PAGES):
            return
        self.checkpoint_due = False
        self._wal_pages = 0
        try:
            durable.crash_point("store-checkpoint")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            durable.crash_point("store-checkpointed")
        except apsw.Error:
            pass  # the next one will do it; what is committed is safe in the WAL


def answer(job: Job) -> None:
    """On the loop: give the result to who waits."""
    waiting = job.answer
    if waiting is None or waiting.done():
        return
    if job.error is not None:
        waiting.set_exception(job.error)
    elif job.cancelled:
        waiting.set_exception(Unavailable("Cancelled before its turn"))
    else:
        waiting.set_result(job.result)
