"""The IMAP room without sockets or processes: memory store, one password for everybody, transports that are lists.

``MemoryImap`` owns an event loop. A channel's ``send`` hands octets to the connection as a socket would; ``receive``
runs the loop until something is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roost.clients.auth import AuthOk, BindingData, Challenge
from roost.clients.notify import Hub
from roost.errors import InvalidCredentials
from roost.events.log import Log, Sink
from roost.net.inline import run_inline
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.imap import ImapSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.schema.ssl import SslSettings
from roost.storage.api import Backend, BackendContext, ConnInfo, Identity
from roost.storage.backends.memory import MemoryBackend
from roost.util.secret import Secret
from services.imap.connection import ImapConnection
from services.imap.shared import Shared


class ListSink(Sink):
    """Log lines as a list of ``(level letter, text with prefix)``."""

    def __init__(self) -> None:
        super().__init__(debug=True)
        self.rows: list[tuple[str, str]] = []

    def line(self, level: str, prefix: str, text: str) -> None:
        self.rows.append((level, prefix + text))

    def lines(self, level: str, prefix: str, texts: list[str]) -> None:
        self.rows += [(level, prefix + text) for text in texts]


class MemoryExchange:
    """PLAIN and LOGIN against one password."""

    def __init__(self, auth: MemoryAuth, mechanism: str, conn: ConnInfo, initial: bytes | None) -> None:
        self.auth, self.mechanism, self.conn = auth, mechanism, conn
        self.answers: list[bytes] = [] if initial is None else [initial]
        self.cancelled = False

    async def next(self, response: bytes | None = None) -> Challenge | AuthOk:
        if response is not None:
            self.answers.append(response)
        if self.mechanism == "LOGIN":
            if len(self.answers) < 2:
                return Challenge((b"Username:", b"Password:")[len(self.answers)])
            user, password = self.answers
        else:
            if not self.answers:
                return Challenge(b"")
            parts = self.answers[0].split(b"\0")
            if len(parts) != 3:
                raise InvalidCredentials("Authentication failed.")
            user, password = parts[1:]
        return await self.auth.login(user.decode("utf-8", "replace"), Secret(password), self.conn)

    def cancel(self) -> None:
        self.cancelled = True


class MemoryAuth:
    """Everybody whose name begins with "u" and whose password is "pw". ``delay``: a future logins wait for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mechanisms: Mapping[str, frozenset[str]] = {
            "PLAIN": frozenset({"plaintext"}),
            "LOGIN": frozenset({"plaintext"}),
        }
        self.gate: asyncio.Future[None] | None = None
        self.error: Exception | None = None

    async def login(self, user: str, password: Secret, conn: ConnInfo) -> AuthOk:
        if self.gate is not None:
            await self.gate
        if self.error is not None:
            raise self.error
        if not user.startswith("u") or password != Secret(b"pw"):
            raise InvalidCredentials("Authentication failed.")
        return AuthOk(user, Identity(user, str(self.home / user)))

    def begin(
        self, mechanism: str, conn: ConnInfo, initial: bytes | None, binding: BindingData | None = None
    ) -> MemoryExchange:
        return MemoryExchange(self, mechanism, conn, initial)


class ListTransport(asyncio.Transport):
    """Keeps what is written. ``full``: the peer does not read."""

    def __init__(self, peer: tuple[str, int]) -> None:
        super().__init__({"peername": peer, "sockname": ("192.0.2.9", 143)})
        self.protocol: ImapConnection | None = None
        self.written: list[bytes] = []
        self.closed = False
        self.reading = True
        self.full = False
        self.unsent_octets = 0

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        if self.full:
            self.unsent_octets += len(data)
            if self.unsent_octets > 256 * 1024 and self.protocol is not None and not self.protocol.paused:
                self.protocol.pause_writing()

    def take_all(self) -> None:
        """The peer reads on."""
        self.full = False
        self.unsent_octets = 0
        if self.protocol is not None and self.protocol.paused:
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent_octets

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            assert self.protocol is not None
            self.protocol.loop.call_soon(self.protocol.connection_lost, None)

    abort = close


class MemoryChannel:
    """One client. ``kit.imap_player.Channel``."""

    def __init__(self, server: MemoryImap, peer: tuple[str, int]) -> None:
        self.server = server
        self.transport = ListTransport(peer)
        self.connection = server.make_connection()
        self.transport.protocol = self.connection
        self.waiting = b""  # sent while the server did not read
        self.connection.connection_made(self.transport)

    def send(self, octets: bytes) -> None:
        self.waiting += octets
        self._deliver()

    def _deliver(self) -> None:
        while self.waiting and self.transport.reading and not self.transport.closed:
            buffer = self.connection.get_buffer(-1)
            size = min(len(self.waiting), len(buffer))
            buffer[:size] = self.waiting[:size]
            self.waiting = self.waiting[size:]
            self.connection.buffer_updated(size)

    def receive(self, secs: float) -> bytes | None:
        loop = self.server.loop
        deadline = loop.time() + secs
        while True:
            if self.transport.written and not self.transport.full:
                got = b"".join(self.transport.written)
                self.transport.written.clear()
                return got
            if self.transport.closed:
                return None
            if loop.time() > deadline:
                return b""
            self.server.turn()
            self._deliver()

    def eof(self) -> None:
        self.connection.eof_received()

    def close(self) -> None:
        self.transport.close()
        self.server.turn()


class MemoryImap:
    """A whole room. ``kit.imap_player.Server``."""

    preauth = False
    user = "u1"
    password = "pw"

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        make_backend: Callable[[BackendContext], Backend] = MemoryBackend,
        auth_settings: AuthSettings | None = None,
        ssl: SslSettings | None = None,
        tls_ready: bool = False,
        anvil: Any = None,
        mail: MailSettings | None = None,
        home: Path = Path("/nonexistent"),
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.sink = ListSink()
        self.log = Log("imap: ", self.sink)
        self.auth = MemoryAuth(home)
        self.hub = Hub(None, self.log)
        self.loop.run_until_complete(self.hub.start())
        mail = mail or MailSettings()
        context = BackendContext(
            vars(mail),
            self.hub.publish,
            lambda level, text: self.sink.line(level[0].upper(), "", text),
        )
        self.backend = make_backend(context)
        self.loop.run_until_complete(self.backend.start())
        self.shared = Shared(
            backend=self.backend,
            auth=self.auth,  # type: ignore[arg-type]  # exchanges of our own
            anvil=anvil,
            watch=self.hub.watch,
            spawn=self.spawn,
            log=self.log,
            imap=replace(ImapSettings(), **(settings or {})),  # type: ignore[arg-type]
            mail=mail,
            auth_settings=auth_settings or AuthSettings(auth_allow_cleartext=True),
            ssl=ssl,
            tls_ready=tls_ready,
        )
        self.connections = 0
        self.failures: list[BaseException] = []
        self.loop.set_exception_handler(
            lambda loop, found: self.failures.append(found.get("exception") or RuntimeError(str(found)))
        )

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        run_inline(self.loop, coro)

    def make_connection(self) -> ImapConnection:
        self.connections += 1
        return ImapConnection(self.loop, self.shared, self.log, f"session{self.connections}")

    def connect(self, peer: tuple[str, int] = ("192.0.2.1", 4000)) -> MemoryChannel:
        return MemoryChannel(self, peer)

    def turn(self) -> None:
        """One turn of the loop, and a moment for threads."""
        self.loop.call_later(0.0002, self.loop.stop)
        self.loop.run_forever()

    def close(self) -> None:
        self.loop.run_until_complete(self.backend.aclose())
        self.loop.run_until_complete(self.hub.stop())
        self.turn()
        self.loop.close()
