"""``Connection``: one accepted client; what every room's protocol object derives from.

* **Reading.** All connections of the process share one receive buffer: what arrived is handed to ``data`` as a view
  that is only valid during the call. No allocation a read, no buffer an idle connection.
* **Writing.** ``write`` collects; everything written while ``data`` runs leaves as one ``transport.write`` when it
  returns (or after 64 KiB). Written from elsewhere, it leaves at the end of the loop's turn.
* **A slow reader.** ``paused`` is true above the high water mark; ``await drained()`` waits for it. A peer that takes
  nothing for ``write_timeout_secs`` is cut off, also while closing.
* **TLS.** ``start_tls`` throws away whatever came before the handshake (CVE-2021-33515) and calls ``ready`` again.
* **Faults.** An exception in ``data``, ``ready`` or ``peer_closed`` is logged with its traceback and ends this
  connection only.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from roost.errors import Unavailable
from roost.events.log import Log
from roost.net.deadlines import Timer, wheel_of
from roost.net.inline import run_inline
from roost.net.peer import Credentials, Peer, credentials_of, peer_of
from roost.net.tls import describe_tls_error, feed_transport

RECEIVE_BUFFER_OCTETS = 256 * 1024
FLUSH_OCTETS = 64 * 1024  # collected output above this leaves at once
HIGH_WATER_OCTETS = 256 * 1024  # unsent output above this pauses the room
LINGER_SECS = 10.0  # a closing connection's last octets may take this long
TLS_HANDSHAKE_SECS = 30.0
TLS_SHUTDOWN_SECS = 2.0

_receive_buffer = memoryview(bytearray(RECEIVE_BUFFER_OCTETS))


class ConnectionLost(Unavailable):
    """The peer is gone, or took nothing for too long; nobody is left to answer."""


class Connection(asyncio.BufferedProtocol):
    """Derive from it and implement ``data``; ``ready``, ``peer_closed`` and ``lost`` as needed."""

    __slots__ = (
        "__weakref__",
        "_busy",
        "_deadline",
        "_diverted",
        "_early",
        "_ended",
        "_flush_handle",
        "_out",
        "_out_octets",
        "_peer",
        "_receive",
        "_stall",
        "_stall_left_octets",
        "_tls_task",
        "_transport",
        "_waiters",
        "closing",
        "local_address",
        "log",
        "loop",
        "on_closed",
        "opening",
        "paused",
        "secured",
        "write_timeout_secs",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log, *, write_timeout_secs: float = 300.0) -> None:
        self.loop = loop
        self.log = log
        self.write_timeout_secs = write_timeout_secs
        self.secured = False  # TLS, or a trusted proxy says so
        self.paused = False  # the peer does not keep up: write no more until drained()
        self.closing = False  # close() or abort() was called, or the peer is gone
        self.on_closed: Callable[[Connection], None] | None = None  # the frame's count of clients
        self.opening: Callable[[Connection], None] | None = None  # the frame's work before ready(): proxy header, TLS
        self.local_address: tuple[str, int] | None = None  # where the listener has only one: nobody need ask for it
        self._transport: asyncio.Transport | None = None
        self._receive = _receive_buffer
        self._peer: Peer | None = None
        self._out: list[bytes] = []
        self._out_octets = 0
        self._busy = False  # inside data(): what is written leaves when it returns
        self._diverted: Callable[[memoryview], None] | None = None  # takes what arrives instead of data()
        self._early: bytearray | None = None  # decrypted octets that came before the news that TLS is up
        self._ended = False  # lost() was called
        self._flush_handle: asyncio.Handle | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._deadline: Timer | None = None
        self._stall: Timer | None = None
        self._stall_left_octets = 0
        self._tls_task: asyncio.Task[None] | None = None

    # ---- for the room to implement

    def data(self, chunk: memoryview) -> None:
        """Octets arrived. ``chunk`` dies with this call: copy what is kept. Must not block."""

    def ready(self) -> None:
        """The connection is up: after accept (after the handshake on a TLS listener), and again after ``start_tls``."""

    def peer_closed(self) -> None:
        """The peer will send no more. By default the connection is closed once everything written is out."""
        self.close()

    def lost(self, exc: BaseException | None) -> None:
        """The connection is gone; called exactly once, last. ``exc`` is None after an orderly end."""

    def crashed(self, exc: Exception) -> None:
        """A method of this connection raised. By default: log the traceback, end the connection."""
        self.log.exception("Connection ended by an internal error", exc=exc)
        self.abort()

    # ---- what the room uses

    @property
    def peer(self) -> Peer:
        peer = self._peer
        if peer is None:
            transport = self._transport
            if transport is None:
                return Peer()
            try:
                local = self.local_address or transport.get_extra_info("sockname")
                peer = self._peer = peer_of(transport.get_extra_info("peername"), local)
            except AttributeError:  # how uvloop says that the socket is closed
                return Peer()
        return peer

    @peer.setter
    def peer(self, peer: Peer) -> None:
        self._peer = peer

    def credentials(self) -> Credentials | None:
        """The peer process of a UNIX connection; None for TCP or after the end."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        return credentials_of(sock.fileno()) if sock is not None else None

    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS session, for its cipher and the peer's certificate; None on a plain connection."""
        found = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return cast("ssl.SSLObject | None", found)

    def write(self, data: bytes) -> None:
        """Send ``data`` soon. Nothing happens after the end of the connection."""
        if self.closing:
            return
        self._out.append(data)
        self._out_octets += len(data)
        if self._out_octets >= FLUSH_OCTETS:
            self.flush()
        elif not self._busy and self._flush_handle is None:
            self._flush_handle = self.loop.call_soon(self._flush_later)

    def flush(self) -> None:
        """Hand everything collected to the transport now."""
        out = self._out
        if not out:
            return
        transport = self._transport
        if transport is not None:
            transport.write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()
        self._out_octets = 0

    async def drained(self) -> None:
        """Return when the peer has taken enough of what was written. Raises ConnectionLost."""
        self.flush()
        while self.paused and not self.closing:
            waiter: asyncio.Future[None] = self.loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter
        if self.closing:
            raise ConnectionLost("Connection closed")

    def start_tls(self, context: ssl.SSLContext, first: bytes = b"") -> None:
        """Begin the server's handshake; ``ready`` follows, or ``lost``.

        What was written before goes out first, in plain. What the peer sent before the handshake is not given to
        ``data`` any more; octets the caller has already taken from the present chunk it must drop itself. ``first``
        is for the frame alone: octets of the handshake that came together with a proxy header.
        """
        self.flush()
        if self._transport is None or self.closing:
            return
        self._peer = self.peer  # a client that is gone when the handshake fails has no address any more
        # From here on the transport belongs to TLS: plain octets reach the handshake and spoil it, never us. asyncio
        # hands out data that came with the handshake's last octets before it says that the handshake is over.
        early = self._early = bytearray()
        self._diverted = early.extend
        self._tls_task = run_inline(self.loop, self._handshake(self._transport, context))
        if first:
            self.loop.call_soon(feed_transport, self._transport, first)

    def divert(self, taker: Callable[[memoryview], None] | None) -> None:
        """For the frame: give what arrives to ``taker`` instead of ``data``; None ends it."""
        self._diverted = taker

    def receive_at_most(self, octets: int) -> None:
        """``data`` gets no more than so many at a time: for peers that may not cost much."""
        self._receive = _receive_buffer if octets >= RECEIVE_BUFFER_OCTETS else _receive_buffer[:octets]

    def pause_reading(self) -> None:
        """Take nothing more from the peer until ``resume_reading``."""
        if self._transport is not None and not self.closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self.closing:
            self._transport.resume_reading()

    def set_deadline(self, secs: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` in ``secs`` (up to 1 s later) unless set again or cancelled. One a connection; cheap."""
        deadline = self._deadline
        if deadline is None:
            deadline = self._deadline = Timer(wheel_of(self.loop))
        deadline.set(secs, callback)

    def cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def close(self) -> None:
        """Send what was written, then end the connection. ``lost`` follows."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        self._wake()
        transport = self._transport
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._watch_stall(min(LINGER_SECS, self.write_timeout_secs))

    def abort(self) -> None:
        """End the connection now; what was not sent is lost. ``lost`` follows."""
        self.closing = True
        self._out.clear()
        self._wake()
        if self._tls_task is not None:
            self._tls_task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # ---- the loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_OCTETS)
        if self.opening is None:
            self._guard(self.ready)
        else:
            self._guard(self.opening, self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._receive

    def buffer_updated(self, nbytes: int) -> None:
        if self.closing:
            return
        self._busy = True
        try:
            if self._diverted is None:
                self.data(_receive_buffer[:nbytes])
            else:
                self._diverted(_receive_buffer[:nbytes])
        except Exception as exc:
            self.crashed(exc)
        self._busy = False
        out = self._out
        if out:
            if len(out) == 1 and self._transport is not None:
                data = out.pop()
                self._out_octets = 0
                self._transport.write(data)
            else:
                self.flush()

    def eof_received(self) -> bool:
        if self._diverted is not None:
            return False
        self._guard(self.peer_closed)
        return not self.closing

    def pause_writing(self) -> None:
        self.paused = True
        self._watch_stall(self.write_timeout_secs)

    def resume_writing(self) -> None:
        self.paused = False
        if self._stall is not None and not self.closing:
            self._stall.cancel()
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = self.closing = True
        self.paused = False
        self._out.clear()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._stall is not None:
            self._stall.cancel()
        self._wake()
        try:
            self.lost(exc)
        except Exception as error:
            self.log.exception("Error while a connection ended", exc=error)
        if self.on_closed is not None:
            self.on_closed(self)
            self.on_closed = None
        self._transport = None  # a TLS transport knows us: without this both would wait for the garbage collector

    # ---- inside

    def _guard(self, call: Callable[..., None], *args: object) -> None:
        """Run one of the room's methods as ``buffer_updated`` runs ``data``."""
        busy, self._busy = self._busy, True
        try:
            call(*args)
        except Exception as exc:
            self.crashed(exc)
        self._busy = busy
        if not busy:
            self.flush()

    def _flush_later(self) -> None:
        self._flush_handle = None
        self.flush()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _watch_stall(self, secs: float) -> None:
        """Cut the peer off when it takes nothing for ``secs``."""
        if self._transport is None:
            return
        if self._stall is None:
            self._stall = Timer(wheel_of(self.loop))
        self._stall_left_octets = self._transport.get_write_buffer_size()
        self._stall.set(secs, self._stalled)

    def _stalled(self) -> None:
        transport = self._transport
        if transport is None:
            return
        left = transport.get_write_buffer_size()
        if left and left >= self._stall_left_octets:
            self.log.debug(f"Peer takes no data, {left} octets unsent: disconnected")
            self.abort()
        else:
            self._watch_stall(LINGER_SECS if self.closing else self.write_timeout_secs)

    async def _handshake(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            secured = await self.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECS,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECS,
            )
        except (Exception, asyncio.CancelledError) as exc:
            self._handshake_failed(transport, exc)
            return
        finally:
            self._tls_task = None
        if secured is None or secured.is_closing() or self.closing:
            self._handshake_failed(transport, ConnectionResetError())
            return
        self._transport = secured
        secured.set_write_buffer_limits(HIGH_WATER_OCTETS)
        self._diverted = None
        self.secured = True
        self._guard(self.ready)
        early, self._early = self._early, None
        if early and not self.closing:
            self._guard(self.data, memoryview(bytes(early)))

    def _handshake_failed(self, transport: asyncio.Transport, exc: BaseException) -> None:
        """The handshake's failure ends the connection; the loop does not tell the protocol by itself."""
        if self._ended:
            return
        if not isinstance(exc, asyncio.CancelledError) and not self.closing:
            self.log.info(f"TLS handshaking failed: {describe_tls_error(exc)}, rip={self.peer.remote_ip}")
        transport.abort()
        self.connection_lost(exc if isinstance(exc, Exception) else None)
