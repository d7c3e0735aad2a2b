"""Accepting clients: within ``client_limit``, until ``restart_request_count`` is used up, on every listener at once.

uvloop accepts in C, one client a turn and listener: no task, about 50 µs from accept to close with a greeting between.
At the limit the listeners leave the loop, so that the kernel offers the next client to another process. asyncio's own
server would accept a whole backlog beyond the limit, so there a plain reader accepts one at a time.
"""

from __future__ import annotations

import abc
import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from roost.events.log import Log
from roost.net.connection import Connection
from roost.worker.exclusive import Exclusive
from roost.worker.loop import is_uvloop
from roost.worker.openings import Opening, plain

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Room, Worker

BACKLOG = 1024
OVERLOAD_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
OVERLOAD_PAUSE_SECS = 0.5
ANY_ADDRESS = frozenset({"0.0.0.0", "::", "::ffff:0.0.0.0"})
NEAR_LIMIT = 16  # this close to a limit, a knock is not taken away from other workers


class Listeners:
    """All listeners of a worker. ``on_change`` is called whenever the number of clients changes."""

    def __init__(
        self,
        worker: Worker,
        room: Room,
        infos: Sequence[ListenerInfo],
        openings: Mapping[ListenerInfo, Opening],
        on_change: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._room = room
        self._log = worker.log
        self._loop = worker.loop
        self._on_change = on_change
        self._limit = worker.service.client_limit
        self._left: int | None = worker.service.restart_request_count or None
        self._connections: set[Connection] = set()
        self._exclusive = Exclusive(worker.loop)
        self.free = 0  # how many more clients would be accepted, once listening has begun
        self._open = False  # listening is wanted
        self._closed = False  # for good
        self._doors = [self._door(info, openings.get(info, plain)) for info in infos if info.kind != "fifo"]
        for info in infos:
            if info.kind == "fifo":
                self._log.error(f"fifo_listener {info.name}: this service does not read FIFOs")

    def _door(self, info: ListenerInfo, opening: Opening) -> _Door:
        local = own_address(info.fd) if info.kind == "inet" else None

        def factory() -> Connection:
            try:
                connection = self._room.connection(info)
            except Exception as exc:
                self._log.exception("A new connection could not be set up", exc=exc)
                connection = _Turned(self._loop, self._log)
            connection.opening = begin
            connection.local_address = local
            return connection

        def begin(connection: Connection) -> None:
            self._count(connection, door)
            opening(connection)

        kind: type[_Door] = _UvloopDoor if is_uvloop(self._loop) else _ReaderDoor
        door = kind(info, factory, self._worker)
        return door

    # ---- counting

    @property
    def available(self) -> int:
        """How many more clients would be accepted."""
        if self._closed:
            return 0
        free = self._limit - len(self._connections)
        if self._left is not None and self._left < free:
            free = self._left
        return free if free > 0 else 0

    @property
    def used_up(self) -> bool:
        """``restart_request_count`` clients have been served: no more."""
        return self._left is not None and self._left <= 0

    def _count(self, connection: Connection, door: _Door) -> None:
        connections = self._connections
        others = len(connections)
        connections.add(connection)
        connection.on_closed = self._gone
        self._worker.clients = others + 1
        if self._left is not None:
            self._left -= 1
        free = self.free = self.available
        if free <= 0:
            self._pause()
        elif others:
            self._exclusive.renew(door.fd, exclusive=free > NEAR_LIMIT)
        self._on_change()

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._worker.clients = len(self._connections)
        free = self.free = self.available
        if not self._open and free > 0:
            self._worker.spawn(self.start(), "listen")
        self._on_change()

    # ---- listening

    async def start(self) -> None:
        """Listen (again)."""
        self.free = self.available
        if self._closed or self._open or self.available <= 0:
            return
        self._open = True
        for door in self._doors:
            await door.open()
            if not self._open:  # paused or closed meanwhile
                door.close()
        self._loop.call_later(0.05, self.renew)

    def renew(self) -> None:
        """Look for waiting clients and settle in the queue anew; at each heartbeat."""
        if self._open and not self._closed:
            for door in self._doors:
                self._exclusive.renew(door.fd, exclusive=self.available > NEAR_LIMIT)

    def _pause(self) -> None:
        self._open = False
        for door in self._doors:
            self._exclusive.forget(door.fd)
            door.close()

    def close(self) -> None:
        """No more clients, for good."""
        self._closed = True
        self.free = 0
        self._pause()

    def abort_all(self) -> None:
        """Cut off whoever is still there."""
        for connection in tuple(self._connections):
            connection.abort()


def own_address(fd: int) -> tuple[str, int] | None:
    """The local address of all clients of a TCP listener that is bound to one; None where each has its own."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        ip, port = sock.getsockname()[:2]
    return None if ip in ANY_ADDRESS else (ip, port)


class _Door(abc.ABC):
    """One listener, in or out of the loop. The inherited descriptor stays open; the loop works on a duplicate."""

    def __init__(self, info: ListenerInfo, factory: Callable[[], Connection], worker: Worker) -> None:
        self.info = info
        self.fd = -1
        self._factory = factory
        self._worker = worker
        self._log: Log = worker.log
        self._loop = worker.loop

    def _duplicate(self) -> socket.socket:
        sock = socket.socket(fileno=os.dup(self.info.fd))
        sock.setblocking(False)
        return sock

    @abc.abstractmethod
    async def open(self) -> None: ...

    @abc.abstractmethod
    def close(self) -> None: ...


class _UvloopDoor(_Door):
    _server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        sock = self._duplicate()
        self.fd = sock.fileno()
        if sock.family == socket.AF_UNIX:
            # The path is the master's: from Python 3.13 on, closing a server would remove it.
            self._server = await self._loop.create_unix_server(  # type: ignore[call-arg,unused-ignore]
                self._factory, sock=sock, backlog=BACKLOG, cleanup_socket=False
            )
        else:
            self._server = await self._loop.create_server(self._factory, sock=sock, backlog=BACKLOG)

    def close(self) -> None:
        server, self._server = self._server, None
        self.fd = -1
        if server is not None:
            server.close()


class _ReaderDoor(_Door):
    _sock: socket.socket | None = None

    async def open(self) -> None:
        self._sock = self._duplicate()
        self.fd = self._sock.fileno()
        self._loop.add_reader(self.fd, self._knock)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(self.fd)
            sock.close()
        self.fd = -1

    def _knock(self) -> None:
        if self._sock is None:
            return
        try:
            client, _address = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in OVERLOAD_ERRNOS:
                raise
            self._log.warning(f"Can't accept a client: {error.strerror}; trying again in {OVERLOAD_PAUSE_SECS} secs")
            self._loop.remove_reader(self.fd)
            self._loop.call_later(OVERLOAD_PAUSE_SECS, self._again)
            return
        client.setblocking(False)
        self._loop.remove_reader(self.fd)  # until this one is counted: the limit holds to the client
        self._worker.spawn(self._serve(client), "accept")

    def _again(self) -> None:
        if self._sock is not None:
            self._loop.add_reader(self.fd, self._knock)

    async def _serve(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, client)
        except OSError:
            client.close()
        finally:
            self._again()


class _Turned(Connection):
    """A client the room could not take."""

    __slots__ = ()

    def ready(self) -> None:
        self.abort()

    def data(self, chunk: memoryview) -> None:
        pass
