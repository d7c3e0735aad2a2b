"""The LMTP room without sockets or processes: memory store, a table of users, transports that are lists.

``MemoryLmtp`` owns an event loop and answers synchronously: ``client.send(octets)`` returns what the server wrote until
nothing moves any more. Faults are put in by name: ``lmtp.auth_down``, ``lmtp.faults[user] = error``, ``lmtp.gates``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from roost.errors import AuthTemporaryFailure, Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.lmtp import LmtpSettings
from roost.storage.api import AppendResult, BackendContext, ConnInfo, FetchRequest, Identity, Items, NewMessage
from roost.storage.backends.memory import MemoryBackend
from roost.storage.simple.backend import SimpleUser
from roost.storage.simple.mailbox import SimpleMailbox
from roost.storage.upload import Upload
from roost.util.ranges import Ranges
from services.lmtp.connection import LmtpConnection
from services.lmtp.shared import Shared

WHEN = 1_751_364_000  # Tue, 01 Jul 2025 10:00:00 +0000
STEP_LIMIT = 200_000


class ListSink(Sink):
    """Log lines as a list of ``(level letter, text with prefix)``."""

    def __init__(self) -> None:
        super().__init__(debug=True)
        self.rows: list[tuple[str, str]] = []

    def line(self, level: str, prefix: str, text: str) -> None:
        self.rows.append((level, prefix + text))

    def lines(self, level: str, prefix: str, texts: list[str]) -> None:
        self.rows += [(level, prefix + text) for text in texts]

    def texts(self, level: str) -> list[str]:
        return [text for found, text in self.rows if found == level]


class _Mailbox(SimpleMailbox):
    lmtp: MemoryLmtp

    async def create_messages(self, messages: Sequence[NewMessage]) -> AppendResult:
        await self.lmtp.before_save(self.user.username)
        result = await super().create_messages(messages)
        self.lmtp.saved.append(self.user.username)
        return result


class _Upload(Upload):
    fails_after = -1

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if 0 <= self.fails_after < self.size_octets + len(chunk):
            raise Unavailable("Cannot store the message now", detail="/home/x: No space left on device")
        super().write(chunk)


class _User(SimpleUser):
    lmtp: MemoryLmtp

    async def get_mailbox(self, name: str) -> SimpleMailbox:
        found = await super().get_mailbox(name)
        mailbox = _Mailbox(self, found.box)
        mailbox.lmtp = self.lmtp
        return mailbox

    def new_upload(self, size_octets: int) -> Upload:
        upload = _Upload(size_octets, limit_octets=self.append_limit)
        upload.fails_after = self.lmtp.upload_faults.get(self.username, -1)
        return upload

    async def logout(self) -> None:
        self.lmtp.open_users -= 1
        await super().logout()


class _Backend(MemoryBackend):
    lmtp: MemoryLmtp

    async def open_user(self, conn: ConnInfo, identity: Identity) -> SimpleUser:
        if (error := self.lmtp.open_faults.get(identity.username)) is not None:
            raise error
        user = _User(self, identity)
        user.lmtp = self.lmtp
        self.lmtp.open_users += 1
        return user


class Transport(asyncio.Transport):
    """Collects what is written; ``stalled`` keeps it unsent, so that the connection pauses."""

    def __init__(self, lmtp: MemoryLmtp, peername: object) -> None:
        super().__init__({"peername": peername, "sockname": ("127.0.0.1", 24) if peername else ""})
        self.lmtp = lmtp
        self.sent = bytearray()
        self.reading = True
        self.closed = False
        self.stalled = False
        self.high = 64 * 1024
        self.on_write: Callable[[], None] | None = None
        self.protocol: LmtpConnection | None = None

    def write(self, data: Any) -> None:
        self.sent += data
        if self.on_write is not None:
            self.lmtp.loop.call_soon(self.on_write)
        if self.stalled and len(self.sent) > self.high and self.protocol is not None:
            self.protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or self.high

    def get_write_buffer_size(self) -> int:
        return len(self.sent) if self.stalled else 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self.protocol is not None:
                self.lmtp.loop.call_soon(self.protocol.connection_lost, None)

    abort = close


class Client:
    """One connection to the room, as its peer."""

    def __init__(self, lmtp: MemoryLmtp, peername: object) -> None:
        self.lmtp = lmtp
        self.transport = Transport(lmtp, peername)
        self.connection = LmtpConnection(lmtp.loop, lmtp.shared, lmtp)
        self.transport.protocol = self.connection
        self._seen = 0
        lmtp.call(self.connection.connection_made, self.transport)
        self.greeting = self.take()

    @property
    def closed(self) -> bool:
        return self.transport.closed

    def feed(self, octets: bytes) -> None:
        """Give octets to the server, in pieces as big as its buffer, and let nothing run after them."""
        at = 0
        while at < len(octets) and not self.closed:
            buffer = self.connection.get_buffer(-1)
            piece = octets[at : at + len(buffer)]
            buffer[: len(piece)] = piece
            self.lmtp.call(self.connection.buffer_updated, len(piece))
            at += len(piece)

    def send(self, octets: bytes) -> bytes:
        """Give octets to the server and return everything it wrote since the last time."""
        self.feed(octets)
        return self.take()

    def take(self) -> bytes:
        self.lmtp.settle()
        sent = bytes(self.transport.sent[self._seen :])
        self._seen = len(self.transport.sent)
        return sent

    def hang_up(self) -> None:
        """End our side; the server may still answer."""
        self.lmtp.call(self.connection.eof_received)
        self.lmtp.settle()

    def vanish(self) -> None:
        """The connection breaks."""
        self.transport.closed = True
        self.lmtp.call(self.connection.connection_lost, ConnectionResetError())
        self.lmtp.settle()

    def begin(self, *recipients: str, sender: str = "s@example.org", mail: str = "") -> bytes:
        """LHLO, MAIL, RCPT…: what was answered to all."""
        lines = ["LHLO client.example", f"MAIL FROM:<{sender}>{mail}", *(f"RCPT TO:<{r}>" for r in recipients)]
        return self.send(("\r\n".join(lines) + "\r\n").encode())


class MemoryLmtp:
    """See the head of this file. Settings by name: ``MemoryLmtp(lmtp_max_errors=3)``."""

    def __init__(self, *, max_message_octets: int | None = 1_000_000, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.sink = ListSink()
        self.users = {f"u{n}@example.org": f"u{n}@example.org" for n in range(1, 10)} | {"u1": "u1@example.org"}
        self.lookups: list[tuple[str, ConnInfo]] = []
        self.auth_down = False
        self.auth_gate: asyncio.Event | None = None
        self.open_faults: dict[str, Exception] = {}
        self.faults: dict[str, Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.saved: list[str] = []  # user names, in the order of their commits
        self.saving: list[str] = []  # … whose delivery has reached the store
        self.open_users = 0
        self.titles: list[str] = []
        self.upload_faults: dict[str, int] = {}  # user → octets after which the disk refuses more
        self.connections: set[LmtpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        ids = iter(range(1, 100_000))
        self.backend = _Backend(
            BackendContext({"mail_max_message_octets": max_message_octets or 0}, lambda update: None, lambda *_: None)
        )
        self.backend.lmtp = self
        self.shared = Shared(
            settings=replace(LmtpSettings(), **settings),
            backend=self.backend,
            users=self,
            log=Log("lmtp(9): ", self.sink),
            hostname="host.example",
            pid=9,
            now=lambda: WHEN,
            new_id=lambda: f"S{next(ids)}",
            max_message_octets=max_message_octets,
        )

    # ---- what the room is given

    async def user(self, name: str, conn: ConnInfo) -> Identity | None:
        self.lookups.append((name, conn))
        if self.auth_gate is not None:
            await self.auth_gate.wait()
        if self.auth_down:
            raise AuthTemporaryFailure("auth is down", detail="connect(/run/auth): refused")
        username = self.users.get(name)
        return None if username is None else Identity(username, f"/home/{username}")

    def joined(self, connection: LmtpConnection) -> None:
        self.connections.add(connection)

    def left(self, connection: LmtpConnection) -> None:
        self.connections.discard(connection)

    def doing(self, connection: LmtpConnection, username: str, state: str) -> None:
        self.titles.append(f"{username} {connection.peer.remote_ip} {state}")

    def adopt(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def before_save(self, username: str) -> None:
        self.saving.append(username)
        gate = self.gates.get(username)
        if gate is not None:
            await gate.wait()
        error = self.faults.get(username)
        if error is not None:
            raise error

    # ---- for tests

    def call(self, fn: Callable[..., object], *args: object) -> None:
        """Call ``fn`` from inside the loop, as the loop does with a protocol's methods."""

        async def once() -> None:
            fn(*args)

        self.loop.run_until_complete(once())

    def client(self, peername: object = "") -> Client:
        return Client(self, peername)

    def settle(self) -> None:
        """Let the loop run until it would wait."""

        async def idle() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        for _ in range(STEP_LIMIT):
            self.loop.run_until_complete(idle())
            if not self.loop._ready:  # type: ignore[attr-defined]  # the loop's own queue: nothing else knows
                return
        raise AssertionError("the room does not come to rest")

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coro)

    def messages(self, username: str, mailbox: str = "INBOX") -> list[bytes]:
        """Every message in a mailbox, whole."""

        async def read() -> list[bytes]:
            user = await self.backend.open_user(ConnInfo("test"), Identity(username))
            box = await user.get_mailbox(mailbox)
            found: list[bytes] = []
            async for batch in box.list_messages(Ranges.span(1, 2**32 - 1), FetchRequest(Items.CONTENT)):
                found += [await body.read() for body in batch.contents or ()]
            await box.aclose()
            await user.logout()
            return found

        found: list[bytes] = self.run(read())
        return found

    def mailboxes(self, username: str) -> dict[str, bool]:
        """Names, and whether each is subscribed."""

        async def read() -> dict[str, bool]:
            user = await self.backend.open_user(ConnInfo("test"), Identity(username))
            infos = await user.list_mailboxes()
            await user.logout()
            return {info.name: info.subscribed for info in infos}

        found: dict[str, bool] = self.run(read())
        return found

    def make_mailbox(self, username: str, name: str) -> None:
        async def make() -> None:
            user = await self.backend.open_user(ConnInfo("test"), Identity(username))
            await user.create_mailbox(name)
            await user.logout()

        self.run(make())

    def close(self) -> None:
        self.loop.close()
