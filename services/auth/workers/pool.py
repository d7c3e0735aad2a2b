"""The auth room's workers: connections made on demand, jobs given to whom has room, a bounded queue before them.

A job of a driver that blocks gets a worker to itself; jobs of a driver that takes several at once share one, as many as
the driver says. A job waits at most ``timeout_secs`` for a worker and then as long for its answer: then it fails, and
nothing else does. A worker that dies gives back its jobs, and each is asked once more of another. Jobs whose asker has
left are taken back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from roost.errors import Unavailable
from roost.events.log import Log
from roost.ipc import auth_worker as wire
from services.auth.workers.databases import variables_in
from services.auth.workers.link import Job, WorkerLink

SWEEP_SECS = 1.0
CONNECT_SECS = 10.0
FIRST_PAUSE_SECS, MAX_PAUSE_SECS = 0.1, 2.0
QUEUED_WARNING_SECS = 3.0
WARNING_EVERY_SECS = 60.0
SUSPECT_GROUPS = 16  # what a dead worker leaves is asked again in so many groups: few share the guilty one's fate
LIST_TIMEOUT_FACTOR = 30  # between two names of a list


class WorkerPool:
    """One an auth room. All methods on the loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        path: str,
        *,
        limit: int,
        queue_limit: int,
        timeout_secs: float,
        idle_secs: float,
        hashes: tuple[str, str],
    ) -> None:
        self._loop = loop
        self._log = log
        self._path = path
        self._limit = limit
        self._queue_limit = queue_limit
        self._timeout_secs = timeout_secs
        self._idle_secs = idle_secs
        self._hashes = hashes
        self._links: list[WorkerLink] = []
        self._starting: set[WorkerLink] = set()  # connected, not greeted yet
        self._connecting: set[asyncio.Task[None]] = set()
        self._alone: deque[Job] = deque()
        self._shared: deque[Job] = deque()
        self._suspects: deque[Job] = deque()  # were at work in a worker that died; which one killed it is not known
        self._queues = (self._alone, self._shared, self._suspects)
        self._pause_secs = 0.0  # after a failure, before the next worker is asked for
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._next_warning = 0.0
        self._closed = False
        self.variables: dict[str, frozenset[str] | None] = {}  # what drivers say of themselves, by database
        self.decoys: dict[str, str] = {}

    # --- questions

    async def ask(self, label: str, tail: bytes, *, concurrent: int = 1) -> wire.Reply:
        """The worker's reply. Raises Unavailable: no worker, no answer in time, too many wait."""
        job = self._enqueue(label, tail, concurrent)
        try:
            reply = await job.done
        except asyncio.CancelledError:
            self._drop(job)
            raise
        if reply.word == wire.FAIL and reply.result == wire.RESULT_INTERNAL:
            raise Unavailable("Temporary authentication failure.", detail=reply.reason or "the worker failed")
        return reply

    async def names(self, label: str, tail: bytes) -> AsyncIterator[str]:
        """The names of a LIST. Raises Unavailable, also in the middle."""
        job = self._enqueue(label, tail, 1, names=True)
        more = job.more
        assert more is not None
        try:
            while True:
                if not job.names and not job.done.done():
                    await more.wait()
                more.clear()
                taken, job.names = job.names, []
                job.told = job.told or bool(taken)
                for link in self._links:
                    link.taken(job)
                for name in taken:
                    yield name
                if job.done.done() and not job.names:
                    break
        finally:
            if not job.done.done():
                job.done.cancel()
                self._drop(job)
        reply = job.done.result()
        if reply.word != wire.OK:
            raise Unavailable("Listing users failed.", detail=reply.reason or "the worker failed")

    def close(self) -> None:
        """The room ends: what still waits fails, connections close."""
        self._closed = True
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        for task in self._connecting:
            task.cancel()
        self._fail_queued("the auth room ends")
        for link in (*self._links, *self._starting):
            link.close()

    # --- the queue

    def _enqueue(self, label: str, tail: bytes, concurrent: int, *, names: bool = False) -> Job:
        if self._closed:
            raise Unavailable("Shutting down.", detail="the auth room ends")
        if len(tail) > wire.MAX_LINE_OCTETS - 16:
            raise Unavailable("Request is too long.", detail=f"{label}: {len(tail)} octets for a worker")
        waiting = sum(map(len, self._queues))
        to_come = (self._limit - len(self._links)) * concurrent  # room in processes that are not there yet
        if waiting >= self._queue_limit + to_come:
            raise Unavailable("Server is busy, try again later.", detail=f"{waiting} requests wait for an auth-worker")
        job = Job(label, tail, concurrent, self._loop.create_future(), self._loop.time())
        if names:
            job.wants_names, job.more = True, asyncio.Event()
        self._queue_of(job).append(job)
        if self._timer is None:
            self._timer = self._loop.call_later(self._sweep_secs, self._sweep)
        self._dispatch()
        return job

    def _drop(self, job: Job) -> None:
        """The asker has left."""
        queue = self._queue_of(job)
        if job in queue:
            queue.remove(job)
            return
        for link in self._links:
            link.cancel(job)

    def _dispatch(self) -> None:
        """Give out what can be given out; ask for workers for the rest."""
        for queue in self._queues:
            while queue:
                link = self._free_for(queue[0])
                if link is None:
                    break
                link.reserved = False
                link.send(queue.popleft())
        if any(self._queues):
            self._grow()

    def _queue_of(self, job: Job) -> deque[Job]:
        if job.retried:
            return self._suspects
        return self._shared if job.concurrent > 1 else self._alone

    def _free_for(self, job: Job) -> WorkerLink | None:
        best: WorkerLink | None = None
        for link in self._links:
            if link.leaving or link.closing:
                continue
            count = len(link.jobs)
            if count == 0:
                if job.concurrent == 1:
                    return link
                if link.reserved and not job.retried:
                    continue
            elif not link.shared or link.reserved or link.suspected != job.retried or count >= job.concurrent:
                continue
            if best is None or count < len(best.jobs):
                best = link
        return best

    def _grow(self) -> None:
        """More connections, as many as the queue can use."""
        now = self._loop.time()
        coming = len(self._connecting) + len(self._starting)
        room = self._limit - len(self._links) - coming
        wanted = sum(-(-len(queue) // queue[0].concurrent) for queue in self._queues if queue) - coming
        if room <= 0:
            if (self._alone or self._suspects) and not coming:
                self._reserve()
            return
        if now < self._not_before:
            if self._retry is None:
                self._retry = self._loop.call_later(self._not_before - now, self._try_again)
            return
        if any(link.failing for link in self._links):
            wanted = min(wanted, 1)  # databases that fail do not get better by more who ask
        for _ in range(min(wanted, room)):
            task = self._loop.create_task(self._connect(), name="auth-worker")
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _reserve(self) -> None:
        """Every worker is busy with shared jobs: one of them takes no more, for those who need one alone."""
        shared = [link for link in self._links if link.shared and not link.leaving]
        if shared and not any(link.reserved for link in self._links):
            min(shared, key=lambda link: len(link.jobs)).reserved = True

    def _try_again(self) -> None:
        self._retry = None
        self._dispatch()

    # --- connections

    async def _connect(self) -> None:
        link = WorkerLink(self._loop, self._log, self, self._hashes)
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await self._loop.create_unix_connection(lambda: link, self._path)
        except (OSError, TimeoutError) as error:
            if not link.closing:
                link.abort()
            self._failed_start()
            if not self._links and not self._starting:
                self._fail_queued(f"Can't connect to {self._path}: {error or 'timed out'}")
            return
        if not link.up and not link.closing:
            self._starting.add(link)
            link.set_deadline(CONNECT_SECS, link.abort)

    def _failed_start(self) -> None:
        self._pause_secs = min(max(self._pause_secs * 2, FIRST_PAUSE_SECS), MAX_PAUSE_SECS)
        self._not_before = self._loop.time() + self._pause_secs

    def link_ready(self, link: WorkerLink) -> None:
        link.cancel_deadline()
        self._starting.discard(link)
        self._pause_secs = self._not_before = 0.0
        self._links.append(link)
        if self._timer is None:
            self._timer = self._loop.call_later(self._sweep_secs, self._sweep)
        self._dispatch()

    def link_free(self, link: WorkerLink) -> None:
        if any(self._queues):
            self._dispatch()

    def link_info(self, database: str, traits: dict[str, str]) -> None:
        variables = variables_in(traits.get("variables", ""))
        if (
            database not in self.variables or self.variables[database] != variables
        ):  # else the cache keeps the one it knows
            self.variables[database] = variables
        self.decoys[database] = traits.get("decoy", "")

    def link_lost(self, link: WorkerLink, jobs: list[Job]) -> None:
        if link in self._links:
            self._links.remove(link)
        else:
            self._starting.discard(link)
            self._failed_start()
        waiting = [job for job in jobs if not job.done.done()]
        for job in reversed(waiting):
            if job.retried or job.told or self._closed:
                self._log.error(f"{job.label}: the worker died" + (", as another did before" if job.retried else ""))
                self._fail(job, "the worker died")
            else:
                self._log.warning(f"{job.label}: the worker died, asking another")
                job.retried = True
                job.since = self._loop.time()
                job.names.clear()
                job.concurrent = min(job.concurrent, -(-len(waiting) // SUSPECT_GROUPS))
                self._suspects.appendleft(job)
        if any(self._queues):
            self._dispatch()

    # --- time

    @property
    def _sweep_secs(self) -> float:
        return min(SWEEP_SECS, self._timeout_secs / 4)

    def _sweep(self) -> None:
        """Once a second while there is anything: requests and connections whose time is up."""
        self._timer = None
        now = self._loop.time()
        for queue in self._queues:
            while queue and (queue[0].done.done() or now - queue[0].since > self._timeout_secs):
                job = queue.popleft()
                if not job.done.done():
                    self._log.error(f"{job.label}: no auth-worker was free for {self._timeout_secs:.0f} s")
                    self._fail(job, "no auth-worker was free in time")
            if queue and now - queue[0].since > QUEUED_WARNING_SECS and now >= self._next_warning:
                self._next_warning = now + WARNING_EVERY_SECS
                self._log.warning(
                    f"{queue[0].label}: {len(queue)} requests wait for an auth-worker, the first for "
                    f"{now - queue[0].since:.0f} s (service auth-worker {{ process_limit = {self._limit} }})"
                )
        for link in tuple(self._links):
            self._look_at(link, now)
        if self._links or any(self._queues) or self._starting or self._connecting:
            self._timer = self._loop.call_later(self._sweep_secs, self._sweep)

    def _look_at(self, link: WorkerLink, now: float) -> None:
        if not link.jobs:
            if now - link.idle_since > self._idle_secs:
                link.retire()
            return
        for job in tuple(link.jobs.values()):
            limit = self._timeout_secs * (LIST_TIMEOUT_FACTOR if job.wants_names else 1)
            if now - job.since <= limit:
                if not job.wants_names:
                    break  # the others came later
                continue
            if not job.done.done():
                self._log.error(f"{job.label}: no answer of the worker for {limit:.0f} s")
                self._fail(job, "the worker did not answer in time")
                link.cancel(job)
            if job.concurrent == 1 and now - job.since > limit + 2 * SWEEP_SECS:
                link.abort()  # it does not let go of the request; its own watchdog ends it
                break

    # --- failures

    def _fail(self, job: Job, why: str) -> None:
        if not job.done.done():
            job.done.set_result(wire.Reply(1, wire.FAIL, wire.RESULT_INTERNAL, reason=why))
        if job.more is not None:
            job.more.set()

    def _fail_queued(self, why: str) -> None:
        for queue in self._queues:
            while queue:
                self._fail(queue.popleft(), why)
