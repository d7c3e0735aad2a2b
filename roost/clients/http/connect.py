"""Opening one connection: every address in turn or overlapping, a UNIX socket, a proxy's tunnel, TLS, time limits.

A host's addresses are tried in the resolver's order, beginning with the one that worked last. With
``soft_connect_timeout`` the next address is tried beside one that is slow. ``max_connect_attempts`` 0 tries each once.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roost.clients.http.connection import HttpConnection
from roost.clients.http.dns import LookupFailed, Resolver
from roost.clients.http.message import CONNECT_FAILED, DNS_FAILED
from roost.clients.http.settings import HttpSettings
from roost.errors import Malformed
from roost.net.http.response import Known, Limits, ResponseReader

if TYPE_CHECKING:
    from roost.clients.http.pool import Pool

READ_OCTETS = 65_536
UNIX_RETRY_SECS = 0.01  # a UNIX listener whose queue is full refuses at once instead of letting wait


class ConnectFailed(Exception):
    """No connection. ``status`` and ``reason`` are what the request ends with."""

    def __init__(self, reason: str, status: int = CONNECT_FAILED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Route:
    """Where to connect and what to do there. ``socket_path`` wins over ``host``; ``tunnel`` is a CONNECT request."""

    host: str
    port: int
    socket_path: str = ""
    forwards: bool = False  # a proxy that is given whole URLs
    tunnel: bytes = b""
    tls: ssl.SSLContext | None = None
    tls_name: str = ""


class Connector:
    """Opens the connections of one Pool."""

    def __init__(self, route: Route, settings: HttpSettings, resolver: Resolver) -> None:
        self.route = route
        self.name = route.socket_path or show_address(route.host, route.port)
        self._settings = settings
        self._resolver = resolver
        self._limits = Limits(
            settings.response_hdr_max_size_octets,
            settings.response_hdr_max_field_size_octets,
            settings.response_hdr_max_fields,
            settings.response_body_max_octets,
        )
        self._known: Known = {}
        self._first = ""  # the address that worked last

    async def open(self, pool: Pool) -> HttpConnection:
        """A connection ready for requests. Raises ConnectFailed."""
        if self.route.socket_path:
            return await self._attempt(pool, "")
        try:
            addresses = await self._resolver.addresses(self.route.host)
        except LookupFailed as error:
            raise ConnectFailed(str(error), DNS_FAILED) from None
        if self._first in addresses:
            at = addresses.index(self._first)
            addresses = addresses[at:] + addresses[:at]
        wanted = self._settings.max_connect_attempts or len(addresses)
        return await self._try_all(pool, [addresses[n % len(addresses)] for n in range(wanted)], len(addresses))

    async def _try_all(self, pool: Pool, addresses: list[str], round_length: int) -> HttpConnection:
        loop = pool.loop
        soft_secs = self._settings.soft_connect_timeout_msecs / 1000 or None
        started = loop.time()
        pending: set[asyncio.Task[HttpConnection]] = set()
        reason = ""
        try:
            for number, address in enumerate(addresses):
                if number and number % round_length == 0:
                    await asyncio.sleep(self._pause_secs(number // round_length))
                pending.add(loop.create_task(self._attempt(pool, address)))
                last = number == len(addresses) - 1
                while pending:
                    done, pending = await asyncio.wait(
                        pending, timeout=None if last else soft_secs, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        error = task.exception()
                        if error is None:
                            connection = task.result()
                            self._first = connection.address
                            return connection
                        if not isinstance(error, ConnectFailed):
                            raise error
                        reason = error.reason
                    if not last:
                        break
        finally:
            for task in pending:
                task.cancel()
                task.add_done_callback(_discard)
        if len(addresses) > 1:
            reason += f" ({len(addresses)} attempts in {loop.time() - started:.3f} secs)"
        raise ConnectFailed(reason)

    def _pause_secs(self, rounds: int) -> float:
        settings = self._settings
        msecs = settings.connect_backoff_time_msecs << min(rounds - 1, 20)
        return min(msecs, settings.connect_backoff_max_time_msecs) / 1000

    async def _attempt(self, pool: Pool, address: str) -> HttpConnection:
        """One address. Raises ConnectFailed."""
        loop, route = pool.loop, self.route
        name = route.socket_path or show_address(address, route.port)
        started = loop.time()
        what = f"connect({name})"
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(self._settings.connect_msecs / 1000):
                sock = self._socket(address)
                if route.socket_path:
                    await _connect_unix(sock, route.socket_path)
                else:
                    await loop.sock_connect(sock, (address, route.port))
                if route.tunnel:
                    what = f"Tunnel connect({name})"
                    await self._tunnel(loop, sock, what)
                what = f"SSL handshaking with {name}" if route.tls else what
                connection = HttpConnection(pool, name, self._limits, self._known)
                connection.address = address
                await loop.create_connection(
                    lambda: connection, sock=sock, ssl=route.tls, server_hostname=route.tls_name if route.tls else None
                )
                sock = None  # the transport's
                return connection
        except TimeoutError:
            raise ConnectFailed(f"{what} failed: Connection timed out in {loop.time() - started:.3f} secs") from None
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message or str(error)
            raise ConnectFailed(f"SSL handshake to {name} failed: Received invalid SSL certificate: {why}") from None
        except ssl.SSLError as error:
            why = (error.reason or str(error)).replace("_", " ").lower()
            raise ConnectFailed(f"SSL handshake to {name} failed: {why}") from None
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error) or "EOF"
            raise ConnectFailed(f"{what} failed: {why}") from None
        finally:
            if sock is not None:
                sock.close()

    def _socket(self, address: str) -> socket.socket:
        family = socket.AF_UNIX if not address else socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        settings = self._settings
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.socket_send_buffer_size_octets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_send_buffer_size_octets)
        if settings.socket_recv_buffer_size_octets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.socket_recv_buffer_size_octets)
        return sock

    async def _tunnel(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, what: str) -> None:
        """Ask the proxy for a way through (RFC 9110 §9.3.6)."""
        await loop.sock_sendall(sock, self.route.tunnel)
        reader = ResponseReader(self._limits)
        reader.expect(b"CONNECT")
        reply = None
        try:
            while reply is None:
                data = await loop.sock_recv(sock, READ_OCTETS)
                reply = reader.feed(data) if data else reader.eof()
                if not data and reply is None:
                    raise ConnectFailed(f"{what} failed: EOF")
        except Malformed as error:
            raise ConnectFailed(f"{what} failed: {error.client_text}") from None
        if reply.status != 200:
            raise ConnectFailed(f"{what} failed: {reply.status} {reply.reason.decode('latin-1')}")
        if reader.surplus:
            raise ConnectFailed(f"{what} failed: the proxy sent more than its answer")


async def _connect_unix(sock: socket.socket, path: str) -> None:
    while True:
        try:
            sock.connect(path)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            await asyncio.sleep(UNIX_RETRY_SECS)
        else:
            return


def show_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _discard(task: asyncio.Task[HttpConnection]) -> None:
    """A connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
