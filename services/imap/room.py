"""The running imap room: makes connections, knows which are open, shows them in the process title, ends them."""

from __future__ import annotations

import asyncio
import os
from binascii import b2a_base64
from typing import TYPE_CHECKING

from services.imap.connection import ImapConnection
from services.imap.shared import Shared

if TYPE_CHECKING:
    from roost.clients.anvil import Anvil
    from roost.clients.auth import AuthClient
    from roost.clients.notify import Hub
    from roost.net.connection import Connection
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Worker


SHOW_SECS = 0.2
ID_OCTETS = 12
IDS_AT_ONCE = 64
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class ImapRoom:
    """``roost.worker.service.Room``. Owns what ``main.start`` opened."""

    def __init__(self, worker: Worker, shared: Shared, auth: AuthClient, hub: Hub, anvil: Anvil) -> None:
        self._worker = worker
        self._shared = shared
        self._auth = auth
        self._hub = hub
        self._anvil = anvil
        self._open: dict[str, ImapConnection] = {}
        self._users: dict[str, int] = {}  # sessions of each
        self._ids: list[str] = []  # session ids not yet given out
        self._politely: bool | None = None  # the process is ending
        self._empty: asyncio.Future[None] | None = None
        self._closed = False
        self._showing = False  # soon
        shared.on_user = self._user
        anvil.on_kick = self.kick
        self._show()

    def connection(self, listener: ListenerInfo) -> Connection:
        ids = self._ids
        if not ids:
            ids += new_ids()
        session_id = ids.pop()
        connection = ImapConnection(self._worker.loop, self._shared, self._worker.log, session_id)
        connection.make_context = self._worker.tls_context
        connection.on_lost = self._left
        self._open[session_id] = connection
        if self._politely is not None:  # it was on its way when the end began
            self._worker.loop.call_soon(connection.shut_down)
        return connection

    def kick(self, session_id: str) -> bool:
        """End one session; whether it was here."""
        connection = self._open.get(session_id)
        if connection is None:
            return False
        connection.shut_down("Connection closed by the administrator.", "Kicked by the administrator")
        return True

    async def drain(self, *, politely: bool) -> None:
        """``politely``: everybody hears BYE; else sessions end when their clients leave. May be called again, more
        urgently, after it was cancelled."""
        self._politely = politely
        if politely:
            for connection in tuple(self._open.values()):
                connection.shut_down()
        if self._open:
            self._empty = self._worker.loop.create_future()
            await self._empty
        if not self._closed:
            self._closed = True
            if self._shared.hooks is not None:
                await self._shared.hooks.close()
            await self._shared.backend.aclose()
            self._auth.close()
            await self._anvil.stop()
            await self._hub.stop()

    def _left(self, connection: ImapConnection) -> None:
        self._open.pop(connection.session_id, None)
        if not self._open and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _user(self, username: str, change: int) -> None:
        users = self._users
        count = users.get(username, 0) + change
        if count:
            users[username] = count
        else:
            users.pop(username, None)
        if not self._showing:
            self._showing = True
            self._worker.loop.call_later(SHOW_SECS, self._show)

    def _show(self) -> None:
        """The process title: who is here."""
        self._showing = False
        users = self._users
        if not users:
            self._worker.title("idling")
        elif len(users) == 1:
            (username,) = users
            count = users[username]
            self._worker.title(username if count == 1 else f"{username}, {count} sessions")
        else:
            self._worker.title(f"{sum(users.values())} sessions")


def new_ids() -> list[str]:
    """Session ids that nobody else has: 96 random bits each, 16 characters. Many, for asking the kernel costs."""
    text = b2a_base64(os.urandom(ID_OCTETS * IDS_AT_ONCE), newline=False).translate(_URL_SAFE).decode("ascii")
    return [text[start : start + 16] for start in range(0, len(text), 16)]
