"""One connection of the auth room to a worker, which is a process of its own: jobs go out, replies come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from roost.errors import Malformed
from roost.events.log import Log, sanitize
from roost.ipc import auth_worker as wire
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection

NAMES_HIGH = 20_000  # names of a list that nobody has taken yet: the worker waits
NAMES_LOW = 5_000


class Job:
    """One question until it is answered. ``tail``: its line without the id, with a password in it: never shown."""

    __slots__ = ("concurrent", "done", "label", "more", "names", "retried", "since", "tail", "told", "wants_names")

    def __init__(
        self, label: str, tail: bytes, concurrent: int, done: asyncio.Future[wire.Reply], since: float
    ) -> None:
        self.label = label
        self.tail = tail
        self.concurrent = concurrent  # how many of its kind may be at work in one worker
        self.done = done
        self.since = since  # when it was asked, sent, or its last names came
        self.retried = False
        self.told = False  # names have been handed on: it cannot be asked again
        self.wants_names = False
        self.names: list[str] = []
        self.more: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<Job {self.label}>"


class Owner(Protocol):
    """What a link tells its pool."""

    def link_ready(self, link: WorkerLink) -> None: ...

    def link_free(self, link: WorkerLink) -> None:
        """A job is done: there may be room for another."""
        ...

    def link_lost(self, link: WorkerLink, jobs: list[Job]) -> None:
        """The connection is gone; ``jobs`` were not answered."""
        ...

    def link_info(self, database: str, traits: dict[str, str]) -> None: ...


class WorkerLink(Connection):
    """See the head of this file."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log, owner: Owner, hashes: tuple[str, str]) -> None:
        super().__init__(loop, log)
        self._owner = owner
        self._hashes = hashes
        self._splitter = LineSplitter(wire.MAX_LINE_OCTETS)
        self._greeted = False
        self.up = False  # it has our configuration
        self.leaving = False  # it gets no more jobs
        self.failing = False  # its databases fail
        self.shared = False  # its jobs are of drivers that take several at once
        self.suspected = False  # its jobs were at work where a worker died
        self.reserved = False  # a job that needs a worker of its own waits for it
        self.limit = 0  # how many processes there may be, by the worker's word
        self.idle_since = loop.time()
        self.jobs: dict[int, Job] = {}
        self._last_id = 0
        self._held: Callable[[], None] | None = None

    # --- jobs

    def send(self, job: Job) -> None:
        self._last_id = self._last_id % wire.MAX_ID + 1
        self.jobs[self._last_id] = job
        self.shared = job.concurrent > 1
        self.suspected = job.retried
        job.since = self.loop.time()
        self.write(wire.request_line(self._last_id, job.tail))

    def cancel(self, job: Job) -> None:
        """Nobody waits any more. The worker's place is free when it says so."""
        for request_id, one in self.jobs.items():
            if one is job:
                self.write(wire.cancel_line(request_id))
                self._resume(job, always=True)
                return

    def retire(self) -> None:
        """No more jobs; the connection ends with the last answer."""
        self.leaving = True
        if not self.jobs:
            self.close()

    def taken(self, job: Job) -> None:
        """Somebody has taken names out of a list."""
        self._resume(job)

    def _resume(self, job: Job, *, always: bool = False) -> None:
        if self._held is not None and (always or len(job.names) < NAMES_LOW):
            self._held = None
            self.resume_reading()

    # --- the loop's calls

    def ready(self) -> None:
        self.write(version_line(wire.MASTER, wire.MAJOR, wire.MINOR) + wire.hash_line(*self._hashes))

    def data(self, chunk: memoryview) -> None:
        try:
            for line in self._splitter.feed(chunk):
                self._line(line)
                if self.closing:
                    return
        except Malformed as error:
            self.log.error(f"A worker sent invalid input: {sanitize(error.detail or error.client_text)}")
            self.abort()

    def lost(self, exc: BaseException | None) -> None:
        self.up = False
        jobs, self.jobs = list(self.jobs.values()), {}
        self._owner.link_lost(self, jobs)

    # --- lines

    def _line(self, line: bytes) -> None:
        if not self._greeted:
            check_version(line, wire.WORKER, wire.MAJOR)
            self._greeted = True
            return
        request_id, rest = wire.split_reply(line)
        if not request_id:
            self._state(line)
            return
        job = self.jobs.get(request_id)
        if job is None:
            raise Malformed("Unknown ID.", detail="a reply to no request")
        if wire.is_name(rest):
            if not job.done.done():
                self._name(job, wire.parse_name(rest))
            return
        reply = wire.parse_reply(request_id, rest)
        del self.jobs[request_id]
        if not job.done.done():
            job.done.set_result(reply)
        if job.more is not None:
            job.more.set()
        if not self.jobs:
            self.idle_since = self.loop.time()
            self.shared = False
            if self.leaving:
                self.close()
        self._owner.link_free(self)

    def _name(self, job: Job, name: str) -> None:
        job.since = self.loop.time()
        job.names.append(name)
        if job.more is not None:
            job.more.set()
        if len(job.names) >= NAMES_HIGH and self._held is None:
            self._held = self.pause_reading
            self.pause_reading()

    def _state(self, line: bytes) -> None:
        word, arguments = wire.parse_state(line)
        if word == "PROCESS-LIMIT" and arguments and arguments[0].isdigit():
            self.limit = int(arguments[0][:9])
        elif word == wire.SUCCESS:
            self.failing = False
            if not self.up:
                self.up = True
                self._owner.link_ready(self)
        elif word == wire.ERROR:
            self.failing = True
        elif word == wire.RESTART:
            self.retire()
        elif word == wire.INFO:
            self._owner.link_info(*wire.parse_info(arguments))
