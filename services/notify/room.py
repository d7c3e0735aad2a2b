"""The notify room: workers' connections around the pure hub."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roost.errors import Malformed
from roost.events.log import Log
from roost.ipc import notify as wire
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection
from services.notify.hub import Hub
from services.notify.outbox import Outbox

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Worker

GREETING_SECS = 10.0


class NotifyRoom:
    """One per process; there is one process."""

    def __init__(self, worker: Worker, *, max_line_octets: int, queue_limit: int) -> None:
        self.hub = Hub()
        self.members: dict[int, WorkerConnection] = {}
        self._worker = worker
        self._max_line_octets = max_line_octets
        self._queue_limit = queue_limit

    def connection(self, listener: ListenerInfo) -> Connection:
        return WorkerConnection(self._worker.loop, self._worker.log, self, self._max_line_octets, self._queue_limit)

    async def drain(self, *, politely: bool) -> None:
        """Workers reconnect to the next process by themselves."""
        for member in tuple(self.members.values()):
            member.close()


class WorkerConnection(Connection):
    """One worker: what it watches, what it publishes."""

    __slots__ = ("_number", "_outbox", "_room", "_splitter")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        room: NotifyRoom,
        max_line_octets: int,
        queue_limit: int,
    ) -> None:
        super().__init__(loop, log)
        self._room = room
        self._number = 0  # none before the greeting
        self._outbox = Outbox(queue_limit)
        self._splitter = LineSplitter(max_line_octets)

    def ready(self) -> None:
        self.write(version_line(wire.SERVER, wire.MAJOR, wire.MINOR))
        self.set_deadline(GREETING_SECS, self.abort)

    def data(self, chunk: memoryview) -> None:
        try:
            lines = self._splitter.feed(chunk)
            if not self._number and lines:
                check_version(lines.pop(0), wire.CLIENT, wire.MAJOR)
                self.cancel_deadline()
                self._number = self._room.hub.join()
                self._room.members[self._number] = self
            for line in lines:
                self._obey(wire.parse(line))
        except (Malformed, OverflowError) as exc:
            self.log.error(f"notify: {exc}, disconnected")
            self.abort()

    def _obey(self, message: wire.Message) -> None:
        room, hub = self._room, self._room.hub
        if isinstance(message, wire.Hint):
            others = hub.publish(self._number, message.user)
            for other in others:
                room.members[other].send_hint(message)
            if not others:
                evicted = hub.mute(self._number, message.user)
                self.send_state(message.user, wanted=False)
                if evicted is not None:
                    self.send_state(evicted, wanted=True)
        elif isinstance(message, wire.Watch):
            for other in hub.watch(self._number, message.user):
                room.members[other].send_state(message.user, wanted=True)
        elif isinstance(message, wire.Unwatch):
            hub.unwatch(self._number, message.user)
        else:
            raise Malformed("Invalid request.", detail="a message of the server")

    def send_hint(self, hint: wire.Hint) -> None:
        if self.paused:
            self._outbox.hint(hint)
            self._check_overflow()
        else:
            self.write(wire.hint_line(hint))

    def send_state(self, user: str, *, wanted: bool) -> None:
        if self.paused:
            self._outbox.state(user, wanted)
            self._check_overflow()
        else:
            self.write(wire.wanted_line(user) if wanted else wire.nobody_line(user))

    def _check_overflow(self) -> None:
        if self._outbox.overflowed:
            self._room.hub.unmute_all(self._number)

    def resume_writing(self) -> None:
        super().resume_writing()
        if len(self._outbox) or self._outbox.overflowed:
            self.write(self._outbox.take())

    def lost(self, exc: BaseException | None) -> None:
        if self._number:
            self._room.hub.leave(self._number)
            del self._room.members[self._number]
