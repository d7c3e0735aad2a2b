"""The connections to one server (or to one server through a proxy), and the requests that wait for one.

Requests are sent in order of arrival on free connections, the one used last first; more connections are opened while
requests wait, up to ``max_parallel_connections``. One request is on a connection at a time (see docs/http-client.md for
``max_pipelined_requests``). A failed connection makes the next wait: ``connect_backoff_time``, doubled each time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from roost.clients.http.connect import ConnectFailed, Connector
from roost.clients.http.connection import HttpConnection
from roost.clients.http.exchange import Exchange, Failure
from roost.clients.http.message import ABORTED, CONNECT_FAILED

if TYPE_CHECKING:
    from roost.clients.http.client import HttpClient

MAX_CONNECTING: Final = 128  # connections being opened at once: a listen queue is not much longer
YOUNG_SECS: Final = 0.025
# A connection counts as one being opened until its first answer, or this long: the kernel says it is open before the
# server has accepted it, and what overflows the server's queue hangs in the kernels' retransmissions.
LINGER_MSECS: Final = 200  # with max_idle_time 0: long enough for the next of many, too short for a server to close it


class Pool:
    """See the head of this file. ``attempts`` and ``continues`` are the client's lanes of deadlines."""

    def __init__(self, client: HttpClient, connector: Connector) -> None:
        self.loop = client.loop
        self.attempts = client.attempts
        self.continues = client.continues
        self.connector = connector
        self.waiting = 0
        self._client = client
        self._settings = client.settings
        self._queue: deque[Exchange] = deque()
        self._open: set[HttpConnection] = set()
        self._idle: dict[HttpConnection, None] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._young: dict[HttpConnection, float] = {}  # open, not yet known to be accepted → loop time it came
        self._young_timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._backoff_msecs = 0
        self._idle_msecs = client.settings.max_idle_time_msecs or LINGER_MSECS
        self._closed = False

    @property
    def busy(self) -> bool:
        return bool(self._open or self._connecting or self.waiting)

    @property
    def quiet(self) -> bool:
        """Nothing would be lost if it were forgotten, not even that a server is away."""
        return not self.busy and self._not_before <= self.loop.time()

    def submit(self, exchange: Exchange) -> None:
        """Send as soon as may be; the outcome comes through ``exchange.done``."""
        while self._idle:
            connection, _ = self._idle.popitem()
            self._client.idle.leave(self._idle_msecs, connection)
            if connection.usable:
                connection.send(exchange)
                return
        if self.waiting >= self._settings.max_queued_requests:
            exchange.end(Failure(ABORTED, "Too many requests are queued"))
            return
        self._queue.append(exchange)
        self.waiting += 1
        self._grow()

    def withdraw(self, exchange: Exchange) -> None:
        """``exchange`` is not wanted any more, wherever it is."""
        queued = exchange.connection is None and not exchange.dropped and not exchange.done.done()
        exchange.drop()
        if queued:
            self.waiting -= 1
            if not self.waiting:
                self._queue.clear()

    def free(self, connection: HttpConnection) -> None:
        """``connection`` may carry another request."""
        accepted = bool(self._young) and self._young.pop(connection, None) is not None
        exchange = self._next()
        if exchange is not None:
            connection.send(exchange)
        elif self._closed:
            connection.close()
        else:
            self._idle[connection] = None
            self._client.idle.enter(self._idle_msecs, connection)
        if accepted and self.waiting:
            self._grow()

    def leaving(self, connection: HttpConnection) -> None:
        """``connection`` takes nothing any more; another may be opened in its place once it is lost."""
        if connection in self._idle:
            del self._idle[connection]
            self._client.idle.leave(self._idle_msecs, connection)

    def lost(self, connection: HttpConnection) -> None:
        self.leaving(connection)
        self._open.discard(connection)
        self._young.pop(connection, None)
        self._grow()

    def close(self) -> None:
        """End everything; whoever waits gets status 9000."""
        self._closed = True
        if self._young_timer is not None:
            self._young_timer.cancel()
        for task in self._connecting:
            task.cancel()
        while (exchange := self._next()) is not None:
            exchange.end(Failure(ABORTED, "Aborted"))
        for connection in list(self._open):
            if connection.exchange is not None:
                connection.exchange.end(Failure(ABORTED, "Aborted"))
            connection.abandon()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._connecting)

    # --- opening ---

    def _next(self) -> Exchange | None:
        while self._queue:
            exchange = self._queue.popleft()
            if not exchange.dropped:
                self.waiting -= 1
                return exchange
        return None

    def _grow(self) -> None:
        limit = min(self.waiting, MAX_CONNECTING - len(self._young))
        room = self._settings.max_parallel_connections - len(self._open)
        while len(self._connecting) < limit and len(self._connecting) < room and not self._closed:
            task = self.loop.create_task(self._connect(), name=f"http connect {self.connector.name}")
            self._connecting.add(task)

    def _is_young(self, connection: HttpConnection) -> None:
        self._young[connection] = self.loop.time()
        if self._young_timer is None:
            self._young_timer = self.loop.call_later(YOUNG_SECS, self._grown_up)

    def _grown_up(self) -> None:
        """The server is slow to answer, then: those that came long ago make place for others."""
        self._young_timer = None
        now = self.loop.time()
        for connection, since in list(self._young.items()):
            if now - since < YOUNG_SECS:
                self._young_timer = self.loop.call_at(since + YOUNG_SECS, self._grown_up)
                break
            del self._young[connection]
        self._grow()

    async def _connect(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        failed: ConnectFailed | None = None
        connection: HttpConnection | None = None
        try:
            delay = self._not_before - self.loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            if self.waiting:
                connection = await self.connector.open(self)
        except ConnectFailed as error:
            failed = error
        except Exception as error:
            failed = ConnectFailed(f"connect({self.connector.name}) failed: {error}")
        finally:
            self._connecting.discard(task)
        if failed is not None:
            self._failed(failed)
            return
        if connection is not None and connection.usable:
            self._open.add(connection)
            self._backoff_msecs = 0
            self.free(connection)
            if connection.exchange is not None:
                self._is_young(connection)
        self._grow()

    def _failed(self, failed: ConnectFailed) -> None:
        first, last = self._settings.connect_backoff_time_msecs, self._settings.connect_backoff_max_time_msecs
        if self.loop.time() >= self._not_before:  # once for all that failed together
            self._backoff_msecs = min(max(self._backoff_msecs * 2, first), last)
            self._not_before = self.loop.time() + self._backoff_msecs / 1000
        if self._open or self._connecting:
            return  # those that work, or still may, serve the queue
        failure = Failure(failed.status or CONNECT_FAILED, failed.reason)
        while (exchange := self._next()) is not None:
            exchange.end(failure)
