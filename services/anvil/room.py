"""The anvil room: who is connected, and which addresses fail to log in. Workers announce, tools ask and kick."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from roost.errors import Malformed
from roost.events.log import Log
from roost.ipc import anvil as wire
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection
from services.anvil.penalty import PenaltyDesk
from services.anvil.sessions import Sessions

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Worker

GREETING_SECS = 10.0
KICK_SECS = 5.0  # a worker that has not answered by then has kicked nobody


class AnvilRoom:
    """One per process; there is one process."""

    def __init__(self, worker: Worker, *, max_line_octets: int, max_sessions: int, max_penalties: int) -> None:
        self.sessions = Sessions(max_sessions)
        self.penalties = PenaltyDesk(max_penalties, time.time)
        self.workers: dict[int, AnvilConnection] = {}
        self._connections: set[AnvilConnection] = set()
        self._worker = worker
        self._max_line_octets = max_line_octets
        self._last_number = 0
        self._last_request = 0
        self._kicks: dict[int, _Kick] = {}
        self._full = False

    def connection(self, listener: ListenerInfo) -> Connection:
        penalties = (listener.type or listener.name.rpartition("-")[2]) == wire.PENALTY_SOCKET
        connection = AnvilConnection(
            self._worker.loop, self._worker.log, self, self._max_line_octets, penalties=penalties
        )
        self._connections.add(connection)
        return connection

    async def drain(self, *, politely: bool) -> None:
        """Workers announce their sessions to the next process by themselves."""
        for connection in tuple(self._connections):
            connection.close()

    def left(self, connection: AnvilConnection, number: int) -> None:
        """A connection is gone, and its sessions with it."""
        self._connections.discard(connection)
        self.penalties.listeners.discard(connection)
        if number:
            del self.workers[number]
            self.sessions.drop_owner(number)
            for kick in tuple(self._kicks.values()):
                kick.answered(number, 0)

    def enter(self, connection: AnvilConnection) -> int:
        self._last_number += 1
        self.workers[self._last_number] = connection
        return self._last_number

    def connect(self, owner: int, arguments: list[str]) -> bytes:
        """Enter a session; the lines to answer with."""
        session_id, pid, user, service, remote_ip = arguments[:5]
        quiet = len(arguments) > 7 and arguments[7] == "quiet"
        sessions = self.sessions
        count = sessions.connect(owner, session_id, int(pid), user, service, remote_ip)
        if count is not None:
            self._full = False
            if quiet:
                return b""
            key = wire.key_of(user, service, remote_ip)
            bound, evicted = sessions.inform(owner, key)
            answer = b"%d\t%d\n" % (count, bound)
            return answer if evicted is None else answer + wire.bound_line(evicted, None)
        if not self._full:
            self._full = True
            self._worker.log.warning(
                f"anvil_max_sessions ({len(self.sessions)}) reached, further sessions are not counted"
            )
        return b"" if quiet else b"-Session table is full\n"

    def tell_news(self) -> None:
        """Workers learn that others have more sessions than they were told; called after each wake-up."""
        if self.sessions.has_news:
            for owner, key, bound in self.sessions.take_news():
                self.workers[owner].write(wire.bound_line(key, bound))

    async def kick(self, user: str, session_id: str) -> int:
        """Ask every worker that has such sessions to end them; how many it ended."""
        owners = self.sessions.owners(user, session_id)
        if not owners:
            return 0
        self._last_request += 1
        request = self._last_request
        kick = self._kicks[request] = _Kick(self._worker.loop.create_future(), set(owners))
        for owner in owners:
            self.workers[owner].write(wire.kick_line(request, user, session_id))
        handle = self._worker.loop.call_later(KICK_SECS, kick.late)
        try:
            return await kick.done
        finally:
            handle.cancel()
            del self._kicks[request]

    def kicked(self, owner: int, request: int, count: int) -> None:
        kick = self._kicks.get(request)
        if kick is not None:
            kick.answered(owner, count)

    def spawn_kick(self, connection: AnvilConnection, user: str, session_id: str) -> None:
        async def run() -> None:
            connection.finish_kick(await self.kick(user, session_id))

        self._worker.spawn(run(), "kick")


class _Kick:
    """One KICK-USER until every owner has answered."""

    def __init__(self, done: asyncio.Future[int], waiting: set[int]) -> None:
        self.done = done
        self._waiting = waiting
        self._count = 0

    def answered(self, owner: int, count: int) -> None:
        if owner in self._waiting:
            self._waiting.discard(owner)
            self._count += count
            if not self._waiting:
                self.late()

    def late(self) -> None:
        if not self.done.done():
            self.done.set_result(self._count)


class AnvilConnection(Connection):
    """A worker with its sessions, or a tool."""

    __slots__ = ("_greeted", "_held", "_number", "_penalties", "_room", "_splitter")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        room: AnvilRoom,
        max_line_octets: int,
        *,
        penalties: bool = False,
    ) -> None:
        """``penalties``: an auth process speaks of addresses here, and of nothing else."""
        super().__init__(loop, log)
        self._penalties = penalties
        self._room = room
        self._number = 0  # of a worker; 0: a tool, or not greeted yet
        self._greeted = 0  # lines of the greeting seen: VERSION, then who it is
        self._held: list[bytes] | None = None  # lines behind a KICK-USER that is not answered yet
        self._splitter = LineSplitter(max_line_octets)

    def ready(self) -> None:
        self.write(version_line(wire.SERVER, wire.MAJOR, wire.MINOR))
        self.set_deadline(GREETING_SECS, self.abort)

    def data(self, chunk: memoryview) -> None:
        try:
            self._take(self._splitter.feed(chunk))
            self._room.tell_news()
        except Malformed as exc:
            self.log.error(f"anvil: {exc}, disconnected")
            self.write(exc.client_text.encode() + b"\n")
            self.close()

    def _take(self, lines: list[bytes]) -> None:
        if self._held is not None:
            self._held += lines
            return
        for index, line in enumerate(lines):
            if self._greeted < 2:
                self._greet(line)
                continue
            word, arguments = wire.parse_command(line)
            if word == wire.PENALTY_DUMP or (word in wire.PENALTY_COMMANDS and self._penalties):
                self.write(self._room.penalties.obey(self, word, arguments))
                continue
            if self._penalties or word in wire.PENALTY_COMMANDS:
                raise Malformed(f"{word}: Not allowed on this connection type")
            if word in wire.WORKER_COMMANDS and not self._number:
                raise Malformed(f"{word}: Not allowed on this connection type")
            if word == "KICK-USER":
                self._held = lines[index + 1 :]
                self.pause_reading()
                self._room.spawn_kick(self, arguments[0], arguments[1] if len(arguments) > 1 else "")
                return
            self._obey(word, arguments)

    def _greet(self, line: bytes) -> None:
        self._greeted += 1
        if self._greeted == 1:
            check_version(line, wire.CLIENT, wire.MAJOR)
            return
        self.cancel_deadline()
        who = wire.parse_hello(line)
        if who is None:
            return
        credentials = self.credentials()
        if credentials is not None and credentials.pid not in (0, who[1]):
            raise Malformed("Invalid handshake.", detail=f"pid {who[1]} given by process {credentials.pid}")
        if self._penalties:
            self._room.penalties.listeners.add(self)
        else:
            self._number = self._room.enter(self)

    def _obey(self, word: str, arguments: list[str]) -> None:
        room = self._room
        if word == "CONNECT":
            if answer := room.connect(self._number, arguments):
                self.write(answer)
        elif word == "DISCONNECT":
            room.sessions.disconnect(self._number, arguments[0])
        elif word == "LOOKUP":
            self.write(b"%d\n" % room.sessions.count(*arguments))
        elif word == "CONNECT-DUMP":
            self.write(b"\n" + b"".join([wire.row_line(row) for row in room.sessions.rows()]) + b"\n")
        elif word == "KICKED":
            room.kicked(self._number, int(arguments[0]), int(arguments[1]))

    def finish_kick(self, count: int) -> None:
        """The kick is done: answer, then go on with what came behind it."""
        self.write(b"+%d\n" % count)
        held, self._held = self._held or [], None
        self.resume_reading()
        try:
            self._take(held)
        except Malformed as exc:
            self.write(exc.client_text.encode() + b"\n")
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        self._room.left(self, self._number)
