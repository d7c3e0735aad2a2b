"""A lasting connection from a worker to another room's UNIX socket: greets, splits lines, reconnects with back-off.

What is written while the room is away is dropped: the owner starts afresh in ``on_up``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from roost.errors import Malformed, RoostError
from roost.events.log import Log
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection

FIRST_RETRY_SECS = 0.1
MAX_RETRY_SECS = 5.0
CONNECT_TIMEOUT_SECS = 10.0


@dataclass(frozen=True, slots=True)
class Greeting:
    """How the two sides call themselves, and the version spoken."""

    client: str
    server: str
    major: int
    minor: int


class Link:
    """``on_up`` is called after each successful greeting, ``on_lines`` with what arrived, ``on_down`` after a loss."""

    def __init__(
        self,
        path: str,
        greeting: Greeting,
        log: Log,
        *,
        on_up: Callable[[], None],
        on_lines: Callable[[list[bytes]], None],
        on_down: Callable[[], None],
        max_line_octets: int,
    ) -> None:
        self.path = path
        self.greeting = greeting
        self.log = log
        self.on_up, self.on_lines, self.on_down = on_up, on_lines, on_down
        self.max_line_octets = max_line_octets
        self.up = False
        self._connection: _LinkConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone: asyncio.Event = asyncio.Event()
        self._stopped = False

    async def start(self) -> None:
        """Connect; returns after the first attempt, successful or not (``up`` says which)."""
        tried = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(tried), name=f"link {self.path}")
        await tried.wait()

    async def stop(self) -> None:
        self._stopped = True
        if self._connection is not None:
            self._connection.close()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=1.0)

    def write(self, line: bytes) -> None:
        if self._connection is not None and self.up:
            self._connection.write(line)

    def flush(self) -> None:
        """Send what was written now, not at the end of the turn."""
        if self._connection is not None:
            self._connection.flush()

    async def _run(self, tried: asyncio.Event) -> None:
        delay = FIRST_RETRY_SECS
        said = False
        while not self._stopped:
            try:
                await self._connect()
                delay, said = FIRST_RETRY_SECS, False
                tried.set()
                await self._gone.wait()
            except (OSError, RoostError, TimeoutError) as exc:
                if not said:
                    self.log.warning(f"Can't connect to {self.path}: {exc}")
                    said = True
            finally:
                tried.set()
            if not self._stopped:
                await asyncio.sleep(delay)
                delay = min(delay * 2, MAX_RETRY_SECS)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._gone.clear()
        greeted: asyncio.Future[None] = loop.create_future()
        connection = _LinkConnection(loop, self, greeted)
        async with asyncio.timeout(CONNECT_TIMEOUT_SECS):
            await loop.create_unix_connection(lambda: connection, self.path)
            try:
                await greeted
            except BaseException:
                connection.abort()
                raise

    def _greeted(self, connection: _LinkConnection) -> None:
        self._connection = connection
        self.up = True
        self.on_up()

    def _lost(self, connection: _LinkConnection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        self.up = False
        if not self._stopped:
            self.log.warning(f"Connection to {self.path} lost, reconnecting")
        self._gone.set()
        self.on_down()


class _LinkConnection(Connection):
    __slots__ = ("_greeted", "_link", "_splitter")

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, greeted: asyncio.Future[None]) -> None:
        super().__init__(loop, link.log)
        self._link = link
        self._greeted = greeted
        self._splitter = LineSplitter(link.max_line_octets)

    def ready(self) -> None:
        greeting = self._link.greeting
        self.write(version_line(greeting.client, greeting.major, greeting.minor))

    def data(self, chunk: memoryview) -> None:
        try:
            lines = self._splitter.feed(chunk)
            if not self._greeted.done() and lines:
                check_version(lines.pop(0), self._link.greeting.server, self._link.greeting.major)
                self._greeted.set_result(None)
                self._link._greeted(self)
            if lines:
                self._link.on_lines(lines)
        except Malformed as exc:
            self._fail(exc)

    def _fail(self, exc: RoostError) -> None:
        if self._greeted.done():
            self.log.error(f"{self._link.path}: {exc}")
        else:
            self._greeted.set_exception(exc)
        self.abort()

    def lost(self, exc: BaseException | None) -> None:
        if not self._greeted.done():
            self._greeted.set_exception(exc or ConnectionResetError("closed before the greeting"))
        self._link._lost(self)
