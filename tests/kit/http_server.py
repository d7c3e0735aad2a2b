"""A scripted HTTP server for tests, in the same loop: it records what it is asked and answers what a test says.

``answer`` takes a Seen and returns octets to send as they are (``reply`` makes well-formed ones), or an async generator
of octets, or None to close without a word. What is sent after ``LAST`` closes the connection.

    async with HttpServer(lambda seen: reply(200, b"hello")) as server:
        ... server.url, server.requests
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

LAST = b""  # yielded by an answer: close the connection now


@dataclass
class Seen:
    """One request: ``headers`` by lower-case name (the last wins), ``raw`` the head as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes
    connection: int
    extra: dict[str, object] = field(default_factory=dict)


Answer = Callable[[Seen], "bytes | AsyncIterator[bytes] | None"]


def reply(
    status: int = 200,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    reason: str = "OK",
    *,
    close: bool = False,
) -> bytes:
    """A well-formed response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def in_pieces(octets: bytes, size: int = 1) -> AsyncIterator[bytes]:
    """An answer in pieces of ``size``, each in a turn of the loop of its own."""
    for start in range(0, len(octets), size):
        yield octets[start : start + size]
        await asyncio.sleep(0)


class HttpServer:
    """``tls``: a server context. ``path``: a UNIX socket instead of 127.0.0.1. ``asks``: sends 100 Continue."""

    def __init__(
        self, answer: Answer, *, tls: ssl.SSLContext | None = None, path: Path | None = None, asks: bool = True
    ) -> None:
        self.answer = answer
        self.requests: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._tls, self._path, self._asks = tls, path, asks
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> HttpServer:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._path, ssl=self._tls, limit=1 << 24)
        else:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 24, backlog=4096
            )
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else '127.0.0.1'}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._writers.add(writer)
        try:
            while await self._one(reader, writer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        raw = await reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if length and headers.get("expect") == "100-continue":
            if not self._asks:
                length = 0
            else:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(length)
        seen = Seen(method, target, headers, body, raw, number)
        self.requests.append(seen)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(seen, writer)
        finally:
            self.in_flight -= 1

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        octets = self.answer(seen)
        if octets is None:
            return False
        if isinstance(octets, bytes):
            writer.write(octets)
            await writer.drain()
            return b"\r\nConnection: close\r\n" not in octets
        async for piece in octets:
            if piece == LAST:
                return False
            writer.write(piece)
            await writer.drain()
        return True
