"""One connection to an authentication socket: numbered requests in flight, reconnection, time limits.

``AuthLink`` knows lines and ids, not their meaning; ``roost.clients.auth`` puts meaning on top. A request is a
``Pending`` whose ``reply`` becomes the reply's arguments ``[command, id, …]``.

When the connection dies, a request that the server has not answered with anything is sent once more on the next
connection (a restarted auth process is not noticed by anybody); one that was already in conversation, or dies twice,
fails with ``AuthTemporaryFailure``. Reconnection backs off from 20 ms to 2 s; an outage is logged once, and its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from roost.errors import AuthTemporaryFailure, Malformed
from roost.events.log import Log
from roost.ipc.auth import MAX_ID
from roost.ipc.lines import LineSplitter
from roost.net.inline import Coming

CONNECT_WAIT_SECS = 15.0  # how long a request may wait for a connection
SWEEP_SECS = 1.0
BACKOFF_FIRST_SECS, BACKOFF_LAST_SECS = 0.02, 2.0


class Pending:
    """A request: what was sent and who waits. ``id`` is 0 while it waits for a connection."""

    __slots__ = ("answered", "body", "command", "id", "reply", "retried", "since")

    def __init__(self, command: bytes, body: bytes) -> None:
        self.command = command
        self.body = body
        self.reply: Coming[list[bytes]] = Coming()
        self.id = 0
        self.since = 0.0
        self.answered = False  # the server said something, so its state cannot be rebuilt on another connection
        self.retried = False


def temporary_failure(detail: str) -> AuthTemporaryFailure:
    return AuthTemporaryFailure("Temporary authentication failure.", detail=detail)


class AuthLink:
    """See the head of this file. All methods on the loop's thread."""

    def __init__(
        self,
        path: str,
        log: Log,
        *,
        hello: bytes,
        greeting: Callable[[bytes], bool],
        reset: Callable[[], None],
        timeout_secs: float,
    ) -> None:
        """``greeting`` takes the server's lines until it returns True (ready); ``reset`` precedes each connection."""
        self.path = path
        self.ready = False
        self._log = log
        self._hello = hello
        self._greeting = greeting
        self._reset = reset
        self._timeout_secs = timeout_secs
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._pending: dict[int, Pending] = {}
        self._waiting: dict[Pending, None] = {}
        self._last_id = 0
        self._connector: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._became_ready = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    # --- life ---

    def start(self) -> None:
        """Begin connecting; again does nothing."""
        if self._connector is None and not self._closed:
            self._loop = asyncio.get_running_loop()
            self._connector = self._loop.create_task(self._keep_connected(), name=f"auth link {self.path}")

    async def wait_ready(self, secs: float) -> bool:
        """Wait for the handshake; False when ``secs`` were not enough (the link goes on trying)."""
        try:
            async with asyncio.timeout(secs):
                await self._became_ready.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Close for good; whoever waits gets AuthTemporaryFailure."""
        self._closed = True
        if self._connector is not None:
            self._connector.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._fail([*self._pending.values(), *self._waiting], "client closed")

    # --- requests ---

    def submit(self, command: bytes, body: bytes) -> Pending:
        """Send ``command⇥id⇥body`` now, or as soon as there is a connection."""
        loop = self._loop
        if loop is None or self._closed:
            raise temporary_failure("the authentication client is not started")
        pending = Pending(command, body)
        pending.since = loop.time()
        if self.ready:
            self._send(pending)
        else:
            self._waiting[pending] = None
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_SECS, self._sweep)
        return pending

    def go_on(self, pending: Pending, line: bytes) -> Coming[list[bytes]]:
        """Send one more line of a conversation; what comes next is returned."""
        if pending.id not in self._pending or self._transport is None or self._loop is None:
            raise temporary_failure("the conversation ended")
        pending.reply = Coming()
        pending.since = self._loop.time()
        self._transport.write(line)
        return pending.reply

    def drop(self, pending: Pending, line: bytes = b"") -> None:
        """Forget a request; ``line`` tells the server when it has begun."""
        self._waiting.pop(pending, None)
        if self._pending.pop(pending.id, None) is not None and line and self._transport is not None:
            self._transport.write(line)

    def finish(self, pending: Pending) -> None:
        """The conversation has ended by the server's word."""
        self._pending.pop(pending.id, None)

    def _send(self, pending: Pending) -> None:
        request_id = self._last_id + 1
        if request_id > MAX_ID:
            request_id = 1
        while request_id in self._pending:
            request_id += 1
        self._last_id = pending.id = request_id
        self._pending[request_id] = pending
        assert self._transport is not None
        self._transport.write(b"%b\t%d\t%b\n" % (pending.command, request_id, pending.body))

    def _sweep(self) -> None:
        """Once a second while anything is in flight: time limits, without a timer for each request."""
        assert self._loop is not None
        self._sweeper = None
        now = self._loop.time()
        late = [p for p in self._pending.values() if not p.reply.done() and now - p.since > self._timeout_secs]
        late += [p for p in self._waiting if now - p.since > min(CONNECT_WAIT_SECS, self._timeout_secs)]
        self._fail(late, f"no answer from {self.path} in time")
        if self._pending or self._waiting:
            self._sweeper = self._loop.call_later(SWEEP_SECS, self._sweep)

    def _fail(self, victims: list[Pending], detail: str) -> None:
        for pending in victims:
            self._pending.pop(pending.id, None)
            self._waiting.pop(pending, None)
            if not pending.reply.done():
                pending.reply.set_exception(temporary_failure(detail))

    # --- the connection ---

    async def _keep_connected(self) -> None:
        """Connect again and again. One lost connection is no news (the service reloads); a failed attempt is."""
        loop = asyncio.get_running_loop()
        pause_secs = BACKOFF_FIRST_SECS
        failures = 0
        while True:
            self._lost.clear()
            self._reset()
            reason = "connection closed during the handshake"
            try:
                await loop.create_unix_connection(lambda: _Wire(self), self.path)
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                if await self._ready_or_lost():
                    if failures > 0:
                        self._log.info(f"auth: connected to {self.path} again")
                    failures = -1
                    pause_secs = BACKOFF_FIRST_SECS
                    await self._lost.wait()
            failures += 1
            if failures == 1:
                self._log.warning(f"auth: {self.path}: {reason}; trying again")
            await asyncio.sleep(pause_secs)
            pause_secs = min(pause_secs * 2, BACKOFF_LAST_SECS)

    async def _ready_or_lost(self) -> bool:
        """Until the handshake is over (True) or the connection is (False)."""
        ready = asyncio.ensure_future(self._became_ready.wait())
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((ready, lost), return_when=asyncio.FIRST_COMPLETED, timeout=self._timeout_secs)
            if not ready.done() and not lost.done() and self._transport is not None:
                self._transport.abort()  # a server that never finishes its greeting
            return self.ready
        finally:
            ready.cancel()
            lost.cancel()

    def connected(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        transport.write(self._hello)

    def line(self, line: bytes) -> None:
        """One line from the server."""
        if not self.ready:
            if self._greeting(line):
                self.ready = True
                self._became_ready.set()
                waiting, self._waiting = list(self._waiting), {}
                for pending in waiting:
                    self._send(pending)
            return
        arguments = line.split(b"\t")
        if len(arguments) < 2 or not arguments[1].isdigit():
            return
        asked = self._pending.get(int(arguments[1]))
        if asked is not None and not asked.reply.done():
            asked.answered = True
            asked.reply.set_result(arguments)

    def disconnected(self) -> None:
        self._transport = None
        self.ready = False
        self._became_ready.clear()
        broken: list[Pending] = []
        for pending in self._pending.values():
            if pending.answered or pending.retried or self._closed:
                broken.append(pending)
            elif not pending.reply.done():
                pending.retried = True
                pending.id = 0
                self._waiting[pending] = None
        self._pending.clear()
        self._fail(broken, f"{self.path}: connection closed")
        self._lost.set()


class _Wire(asyncio.Protocol):
    """Octets ↔ lines of one connection."""

    def __init__(self, link: AuthLink) -> None:
        self._link = link
        self._splitter = LineSplitter()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are no subclasses
        self._link.connected(transport)  # type: ignore[arg-type]  # the same

    def data_received(self, data: bytes) -> None:
        try:
            for line in self._splitter.feed(data):
                self._link.line(line)
        except Malformed:
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.disconnected()
