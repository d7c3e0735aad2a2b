"""The running lmtp room: makes connections, knows which are open, and ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.lmtp.connection import LmtpConnection
from services.lmtp.shared import Shared

if TYPE_CHECKING:
    from roost.clients.anvil import Anvil
    from roost.clients.auth import AuthClient
    from roost.clients.notify import Hub
    from roost.events.log import Log
    from roost.net.connection import Connection
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Worker


class LmtpRoom:
    """``roost.worker.service.Room``. Owns what ``start`` opened: the store, the clients of auth and anvil, the hub."""

    def __init__(self, worker: Worker, shared: Shared, auth: AuthClient, hub: Hub, anvil: Anvil | None = None) -> None:
        self._worker = worker
        self._shared = shared
        self._auth = auth
        self._hub = hub
        self._anvil = anvil
        self._open: set[LmtpConnection] = set()
        self._politely: bool | None = None  # the process is ending
        self._empty: asyncio.Future[None] | None = None
        self._closed = False
        self._show()

    def connection(self, listener: ListenerInfo) -> Connection:
        return LmtpConnection(self._worker.loop, self._shared, self)

    async def drain(self, *, politely: bool) -> None:
        """Idle clients are told at once, others after their transaction; ``politely``: also those still sending.
        May be called again, more urgently, after it was cancelled."""
        self._politely = politely
        for connection in tuple(self._open):
            connection.drain(politely=politely)
        if self._open:
            self._empty = self._worker.loop.create_future()
            await self._empty
        if not self._closed:
            self._closed = True
            if self._shared.hooks is not None:
                await self._shared.hooks.close()
            await self._shared.backend.aclose()
            self._auth.close()
            await self._hub.stop()
            if self._anvil is not None:
                await self._anvil.stop()

    # ---- the connections' calls

    def joined(self, connection: LmtpConnection) -> None:
        self._open.add(connection)
        self._show()
        if self._politely is not None:  # it was on its way when the end began
            connection.drain(politely=self._politely)

    def left(self, connection: LmtpConnection) -> None:
        self._open.discard(connection)
        self._show()
        if not self._open and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def doing(self, connection: LmtpConnection, username: str, state: str) -> None:
        if len(self._open) == 1:
            self._worker.title(" ".join(filter(None, (username, connection.peer.remote_ip, state))))

    def adopt(self, task: asyncio.Task[None]) -> None:
        self._worker.adopt(task)

    def _show(self) -> None:
        """The process title: who is here."""
        count = len(self._open)
        if count == 1:
            (connection,) = self._open
            self.doing(connection, "", "LHLO")
        else:
            self._worker.title(f"{count} connections" if count else "idling")


def log_by_level(log: Log) -> Callable[[str, str], None]:
    """``BackendContext.log`` on a log."""
    methods = {"debug": log.debug, "info": log.info, "warning": log.warning, "error": log.error}

    def write(level: str, text: str) -> None:
        methods[level](text)

    return write
