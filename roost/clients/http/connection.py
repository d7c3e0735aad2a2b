"""One connection to an HTTP server: one request at a time, any number one after the other."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from roost.clients.http.exchange import Exchange, Failure
from roost.clients.http.message import BAD_RESPONSE, BROKEN_PAYLOAD, CONNECTION_LOST, TIMED_OUT
from roost.errors import Malformed
from roost.net.http.response import BodyError, Known, Limits, Reply, ResponseReader

if TYPE_CHECKING:
    from roost.clients.http.lanes import Lanes
    from roost.clients.http.pool import Pool

CONTINUE_MSECS = 2000  # how long 100-continue is waited for
JOIN_OCTETS = 65_536  # a body up to this is sent in one write with the head


class HttpConnection(asyncio.Protocol):
    """Owned by a Pool, which is told when it is free or lost. ``name`` is the peer as log lines show it."""

    def __init__(self, pool: Pool, name: str, limits: Limits, known: Known | None = None) -> None:
        self.pool = pool
        self.name = name
        self.exchange: Exchange | None = None
        self._reader = ResponseReader(limits, known)
        self._transport: asyncio.Transport | None = None
        self._used = False
        self._loop_time = pool.loop.time
        self._attempts: Lanes[Exchange] = pool.attempts
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are no subclasses

    # --- sending ---

    @property
    def usable(self) -> bool:
        transport = self._transport
        return transport is not None and not transport.is_closing()

    def send(self, exchange: Exchange) -> None:
        """Send the head, and the body unless it waits for 100-continue. Only when free."""
        assert self.exchange is None and self._transport is not None
        self.exchange = exchange
        exchange.connection = self
        exchange.reused = self._used
        exchange.sent_at = self._loop_time()
        self._used = True
        self._reader.expect(exchange.method)
        self._attempts.enter(exchange.timeout_msecs, exchange)
        if exchange.hold:
            self._transport.write(exchange.head)
            self.pool.continues.enter(CONTINUE_MSECS, exchange)
        elif len(exchange.body) <= JOIN_OCTETS:
            self._transport.write(exchange.head + exchange.body)
        else:
            self._transport.write(exchange.head)
            self._transport.write(exchange.body)

    def go_on(self, exchange: Exchange) -> None:
        """Send the body that was held: the server asked for it, or said nothing for too long."""
        if self.exchange is exchange and exchange.hold and self._transport is not None:
            exchange.hold = False
            self.pool.continues.leave(CONTINUE_MSECS, exchange)
            self._transport.write(exchange.body)

    # --- receiving ---

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.close()  # nobody asked
            return
        try:
            reply = self._reader.feed(data)
        except Malformed as error:
            self._broken(error)
            return
        if reply is not None:
            self._answered(exchange, reply)
        elif exchange.hold and 100 in self._reader.informed:
            self.go_on(exchange)

    def eof_received(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        try:
            reply = self._reader.eof()
        except BodyError as error:
            self._broken(error)
        except Malformed:
            self._end(Failure(CONNECTION_LOST, f"Connection lost: read({self.name}) failed: EOF", again=True))
        else:
            if reply is not None:
                reply.keep = False
                self._answered(exchange, reply)
            else:
                self._lost("EOF")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.exchange is not None:
            if isinstance(exc, ssl.SSLError):
                self._lost(f"EOF (last SSL error: {exc.reason or exc})")
            else:
                self._lost(getattr(exc, "strerror", None) or "EOF")
        self._transport = None
        self.pool.lost(self)

    def _lost(self, why: str) -> None:
        exchange = self.exchange
        assert exchange is not None
        untouched = exchange.reused and not self._reader.started
        self._end(Failure(CONNECTION_LOST, f"Connection lost: read({self.name}) failed: {why}", True, untouched))

    def _broken(self, error: Malformed) -> None:
        if isinstance(error, BodyError):
            self._end(Failure(BROKEN_PAYLOAD, f"Response payload read error: {error.client_text}"))
        else:
            self._end(Failure(BAD_RESPONSE, error.client_text))

    def _answered(self, exchange: Exchange, reply: Reply) -> None:
        transport = self._transport
        early = exchange.hold or (transport is not None and transport.get_write_buffer_size() > 0)
        if early and reply.status // 100 == 2 and exchange.body:
            self._end(Failure(BAD_RESPONSE, "Server responded with success response before all payload was sent"))
            return
        self._release(exchange)
        if reply.keep and not early:
            self.pool.free(self)
        else:
            self.close()
        exchange.end(reply)

    def _release(self, exchange: Exchange) -> None:
        self.exchange = None
        exchange.connection = None
        self._attempts.leave(exchange.timeout_msecs, exchange)
        if exchange.hold:
            self.pool.continues.leave(CONTINUE_MSECS, exchange)

    def _end(self, failure: Failure) -> None:
        """The request failed and the connection with it."""
        exchange = self.exchange
        if exchange is not None:
            self._release(exchange)
            exchange.end(failure)
        self.close()

    # --- ending ---

    def timed_out(self) -> None:
        self._end(Failure(TIMED_OUT, "Request timed out", again=True))

    def abandon(self) -> None:
        """The request on it is not wanted any more."""
        if self.exchange is not None:
            self._release(self.exchange)
        self.close()

    def close(self) -> None:
        """At once: nothing is left to send, and a TLS peer that never answers the goodbye would keep the place."""
        self.pool.leaving(self)
        if self._transport is not None:
            self._transport.abort()
