"""The part of a worker's life on the loop: start the room, report READY, serve, drain, leave.

How it ends (``roost/proc/contract.py``): TERM and a dead master: say good-bye, at most POLITE_SECS. QUIT and a used-up
``restart_request_count``: no new clients, wait for the present ones as long as they stay; a TERM makes it short, a
dead master does not. INT: leave if idle.
"""

from __future__ import annotations

import asyncio
import enum
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roost.proc.contract import EXIT_OK, RETIRED
from roost.worker.listeners import Listeners
from roost.worker.status import StatusReporter

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.worker.openings import Opening
    from roost.worker.service import Room, Service, Worker

POLITE_SECS = 4.0  # the master waits 5 for services that have clients
POLITE_BACK_SECS = 1.5  # and 2 for auth, anvil and the like
TITLE_SECS = 1.0


@dataclass(frozen=True, slots=True)
class Parent:
    """The master's pipes."""

    status_fd: int
    dead_master_fd: int
    generation: int


class Leave(enum.IntEnum):
    """Why the worker ends; a higher one overtakes a lower one."""

    DRAIN = 1
    POLITE = 2


class Life:
    """One worker, from the room's start to its end. ``run`` returns the exit code or raises what the start raised."""

    def __init__(
        self,
        worker: Worker,
        service: Service,
        infos: Sequence[ListenerInfo],
        openings: Mapping[ListenerInfo, Opening],
        parent: Parent | None,
        show_title: Callable[[str], None],
    ) -> None:
        self._worker = worker
        self._service = service
        self._infos = infos
        self._openings = openings
        self._parent = parent
        self._loop = worker.loop
        self._log = worker.log
        self._listeners: Listeners | None = None
        self._status: StatusReporter | None = None
        self._leave: Leave | None = None
        self._wake = asyncio.Event()  # the reason to leave, or the number of clients, changed
        self._draining = False
        self._show_title = show_title
        self._title = ""  # the room's own text
        self._shown: str | None = None
        self._title_timer: asyncio.TimerHandle | None = None

    async def run(self, started: Callable[[], None]) -> int:
        """Live. ``started`` is called once, between the room's start and READY."""
        worker = self._worker
        self._loop.set_exception_handler(self._unhandled)
        worker.on_title = self._set_title
        for signum, action in (
            (signal.SIGTERM, lambda: self._ask(Leave.POLITE)),
            (signal.SIGQUIT, lambda: self._ask(Leave.DRAIN)),
            (signal.SIGINT, self._interrupted),
        ):
            self._loop.add_signal_handler(signum, action)
        if self._parent is not None:
            os.set_blocking(self._parent.dead_master_fd, False)
            self._loop.add_reader(self._parent.dead_master_fd, self._master_gone)
        room: Room | None = None
        try:
            room = await self._service.start(worker)
            self._listeners = Listeners(worker, room, self._infos, self._openings, self._changed)
            started()
            await self._listeners.start()
            self._ready()
            await self._until_leaving()
            await self._end(room)
        finally:
            await self._close()
        return EXIT_OK

    # ---- the middle of life

    def _ready(self) -> None:
        self._show_title(self._title)
        if self._parent is not None:
            self._status = StatusReporter(self._loop, self._parent.status_fd, self._parent.generation, self._report)
            self._status.on_beat = self._beat
            self._status.start()

    def _report(self) -> int:
        """What the master is told: free places, or that no new client is taken any more."""
        assert self._listeners is not None
        if self._worker.stopping or self._listeners.used_up:
            return RETIRED
        return self._listeners.free

    def _beat(self) -> None:
        if self._listeners is not None:
            self._listeners.renew()

    def _changed(self) -> None:
        """A client came or went. Mostly the master and the title hear of it together with what was before."""
        status, listeners = self._status, self._listeners
        plenty = listeners is not None and listeners.free > 0
        if status is not None and not (plenty and status.will_tell):
            status.changed()
        if self._title_timer is None:
            self._title_timer = self._loop.call_later(TITLE_SECS, self._update_title)
        if self._draining or (not plenty and listeners is not None and listeners.used_up):
            self._wake.set()

    def _set_title(self, text: str) -> None:
        self._title = text
        if self._title_timer is None:
            self._title_timer = self._loop.call_later(TITLE_SECS, self._update_title)

    def _update_title(self) -> None:
        self._title_timer = None
        count = self._worker.clients
        text = self._title or (f"{count} connection{'' if count == 1 else 's'}" if count else "idle")
        if text != self._shown:
            self._shown = text
            self._show_title(text)

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Exceptions nobody caught: into the log with their traceback."""
        self._log.exception(str(context.get("message", "Unhandled error")), exc=context.get("exception"))

    # ---- reasons to leave

    def _ask(self, leave: Leave) -> None:
        if self._leave is None or leave > self._leave:
            self._leave = leave
            self._worker.stopping = True
            if self._listeners is not None:
                self._listeners.close()
            if self._status is not None:
                self._status.changed()
            self._wake.set()

    def _interrupted(self) -> None:
        if self._worker.clients == 0 or self._parent is None:
            self._ask(Leave.POLITE)
        elif self._status is not None:
            self._status.insist()

    def _master_gone(self) -> None:
        assert self._parent is not None
        try:
            if os.read(self._parent.dead_master_fd, 64):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._loop.remove_reader(self._parent.dead_master_fd)
        if not self._draining and self._leave is not Leave.DRAIN:
            self._ask(Leave.POLITE)

    async def _until_leaving(self) -> None:
        while self._leave is None:
            await self._wake.wait()
            self._wake.clear()
            assert self._listeners is not None
            if self._listeners.used_up:
                self._ask(Leave.DRAIN)

    # ---- the end

    async def _end(self, room: Room) -> None:
        """Drain the room. A drain that waits for clients becomes a polite stop when TERM comes."""
        if self._leave is Leave.DRAIN:
            self._draining = True
            task = self._worker.spawn(room.drain(politely=False), "drain")
            self._wake.clear()
            while self._leave is Leave.DRAIN and (self._worker.clients or not task.done()):
                waiting = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({waiting} if task.done() else {waiting, task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                self._wake.clear()
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)
        if self._leave is Leave.POLITE:
            deadline = self._loop.time() + (POLITE_SECS if self._worker.service.protocol else POLITE_BACK_SECS)
            task = self._worker.spawn(room.drain(politely=True), "drain")
            await asyncio.wait({task}, timeout=deadline - self._loop.time())
            self._draining = True
            while self._worker.clients and (left := deadline - self._loop.time()) > 0:
                self._wake.clear()
                try:
                    async with asyncio.timeout(left):
                        await self._wake.wait()
                except TimeoutError:
                    break
            if not task.done():
                self._log.warning("The end took too long, leaving now")
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)

    async def _close(self) -> None:
        if self._listeners is not None:
            self._listeners.close()
            self._listeners.abort_all()
            await asyncio.sleep(0)
        if self._status is not None:
            self._status.close()
            signal.alarm(0)
        if self._title_timer is not None:
            self._title_timer.cancel()
        await self._worker.aclose()
        await self._loop.shutdown_asyncgens()
