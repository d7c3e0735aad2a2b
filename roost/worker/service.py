"""What a room gives the frame, and what the frame gives a room.

A room's ``main.py`` ends in ``SERVICE = Service("imap", start)``. After the fork the frame
(``roost.worker.run``) reads keys, drops privileges, makes the loop, calls ``start(worker)`` and only then tells the
master READY. ``start`` returns the ``Room``; every accepted client becomes one ``room.connection(listener)``.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from roost.events.log import Log
from roost.net.connection import Connection
from roost.net.tls import ServerTls
from roost.worker.offload import Offload

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.settings import Config
    from roost.settings.schema.services import ServiceSettings

T = TypeVar("T")


class Room(Protocol):
    """One running room."""

    def connection(self, listener: ListenerInfo) -> Connection:
        """A fresh protocol object for one accepted client. Called for every accept: keep it cheap."""
        ...

    async def drain(self, *, politely: bool) -> None:
        """The process is to end. ``politely``: tell the clients and close them; else wait until they leave by
        themselves. Then flush and close what the room holds. Cancelled when the time is up."""
        ...


@dataclass(frozen=True)
class Service:
    """A room as the frame sees it. ``start`` runs as the unprivileged user, before the first client."""

    name: str
    start: Callable[[Worker], Awaitable[Room]]


class Worker:
    """The process around a room."""

    def __init__(self, config: Config, service: ServiceSettings, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        self.config = config
        self.service = service
        self.loop = loop
        self.log = log
        self.pid = os.getpid()
        self.clients = 0  # connections open now
        self.stopping = False  # no new clients any more
        self.offload = Offload(loop)
        self.on_title: Callable[[str], None] | None = None  # set by the frame
        self.tls: ServerTls | None = None  # set by the frame when a certificate is configured
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    def tls_context(self) -> ssl.SSLContext | None:
        """The context for ``Connection.start_tls``, to be asked anew each time; None: no certificate, no STARTTLS."""
        return self.tls.context if self.tls is not None else None

    def title(self, text: str) -> None:
        """What stands between brackets in the process title; shown at most once a second."""
        if self.on_title is not None:
            self.on_title(text)

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """A task in the background; what it raises is logged with its traceback; cancelled when the worker ends."""
        task = self.loop.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Track a task made elsewhere (``run_inline``) like a spawned one."""
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.log.exception(f"Task {task.get_name()} failed", exc=exc)

    def every(self, secs: float, fn: Callable[[], object]) -> Callable[[], None]:
        """Call ``fn`` every ``secs`` until the returned function is called; a failing call is logged."""
        cell: list[asyncio.TimerHandle] = []

        def turn() -> None:
            self._timers.discard(cell.pop())
            arm()
            try:
                fn()
            except Exception as exc:
                self.log.exception("Periodic call failed", exc=exc)

        def arm() -> None:
            handle = self.loop.call_later(secs, turn)
            cell.append(handle)
            self._timers.add(handle)

        def stop() -> None:
            if cell:
                handle = cell.pop()
                handle.cancel()
                self._timers.discard(handle)

        arm()
        return stop

    async def aclose(self) -> None:
        """Cancel what is left in the background and end the threads."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        self.offload.close()
