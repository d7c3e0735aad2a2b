"""A login at an IMAP server over the network: connect, talk, hang up. Each has its own connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from roost.clients.imap_login.conversation import Finished, LoginConversation, LoginResult, Send, StartTls, Step
from roost.net.tls import reason_of
from roost.util.secret import Secret

SHUTDOWN_SECS = 1.0
LOGOUT = b"Z LOGOUT\r\n"


@dataclass(frozen=True)
class Server:
    """``tls``: None = in clear; ``starttls``: begun by that command, otherwise at once."""

    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    starttls: bool = False


async def try_login(server: Server, user: bytes, password: Secret, timeout_secs: float) -> Finished:
    """What the server says. Never raises for what the network or the server does; the result is UNKNOWN then."""
    if b"\0" in user or b"\0" in password.reveal():
        return Finished(LoginResult.REFUSED, "NUL in the name or the password")
    login = _Login(server, LoginConversation(user, password, starttls=server.starttls))
    at_once = None if server.starttls else server.tls
    try:
        async with asyncio.timeout(timeout_secs):
            await login.loop.create_connection(
                lambda: login,
                server.host,
                server.port,
                ssl=at_once,
                server_hostname=server.host if at_once is not None else None,
                ssl_shutdown_timeout=SHUTDOWN_SECS if at_once is not None else None,
            )
            return await login.done
    except TimeoutError:
        return _unknown(f"no answer within {timeout_secs:.0f} s")
    except (OSError, UnicodeError, ValueError) as error:
        return _unknown(_why(error))
    finally:
        login.hang_up()


class _Login(asyncio.Protocol):
    """One connection. What arrives is looked at when it arrives, so nothing said before TLS can be taken for later."""

    def __init__(self, server: Server, conversation: LoginConversation) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Finished] = self.loop.create_future()
        self._server = server
        self._conversation = conversation
        self._transport: asyncio.Transport | None = None
        self._securing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.done.done():
            self._do(self._conversation.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done() and self._securing is None:
            self.done.set_result(self._conversation.closed() if exc is None else _unknown(_why(exc)))

    def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Finished):
                if not self.done.done():
                    self.done.set_result(step)
            elif isinstance(step, StartTls):
                self._securing = self.loop.create_task(self._secure())
            elif isinstance(step, Send) and self._transport is not None:
                self._transport.write(step.data)

    async def _secure(self) -> None:
        server, transport = self._server, self._transport
        assert server.tls is not None and transport is not None
        try:
            secured = await self.loop.start_tls(
                transport, self, server.tls, server_hostname=server.host, ssl_shutdown_timeout=SHUTDOWN_SECS
            )
        except (OSError, ValueError) as error:
            if not self.done.done():
                self.done.set_result(_unknown(_why(error)))
            return
        self._securing = None
        self._transport = secured
        if secured is None or secured.is_closing():
            self.connection_lost(None)
            return
        self._do(self._conversation.secured())

    def hang_up(self) -> None:
        """Politely after a verdict, else at once. Nobody waits for it."""
        if self._securing is not None:
            self._securing.cancel()
        if self._transport is None:
            return
        verdict = self.done.done() and not self.done.cancelled() and self.done.result().result
        if verdict in (LoginResult.OK, LoginResult.REFUSED, LoginResult.EXPIRED):
            self._transport.write(LOGOUT)
            self._transport.close()
        else:
            self._transport.abort()


def _unknown(why: str) -> Finished:
    return Finished(LoginResult.UNKNOWN, why)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {reason_of(error) or 'failed'}"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
