"""One IMAP client's socket: octets to commands, replies back, one command after another.

``data`` runs every complete command at once, in the order they came (RFC 9051 §5.5: strictly one after another, so
pipelining is never ambiguous), and what they answer leaves in one write. A command that must wait (for the disk, the
auth service, a client that reads slowly) becomes a task; what comes meanwhile stays in the assembler, and reading is
paused above ``imap_pipeline_limit`` lines or ``PIPELINE_OCTETS``. A long FETCH gives way every ``SLICE_SECS``.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from roost.errors import Malformed
from roost.events.log import Log
from roost.imap import replies
from roost.imap.assembler import Assembler, Complete, LineTooLong, Literal
from roost.net.certificates import binding_data, binding_kinds, client_fields
from roost.net.connection import FLUSH_OCTETS, RECEIVE_BUFFER_OCTETS, Connection, ConnectionLost
from roost.net.inline import Direct, run_direct
from roost.storage.api import ConnInfo, Identity, User
from services.imap import dispatch, login
from services.imap.session import Session
from services.imap.shared import Shared

SLICE_SECS: Final = 0.005
PIPELINE_OCTETS: Final = 64 * 1024
LITERAL_OCTETS_BEFORE_LOGIN: Final = 8 * 1024
RECEIVE_OCTETS_BEFORE_LOGIN: Final = 16 * 1024


class ImapConnection(Connection):
    """See the head of this file. ``shared`` belongs to the process, ``session`` to this client."""

    __slots__ = (
        "_at_eof",
        "_first",
        "_held",
        "_line_waiter",
        "_on_tick",
        "_poke_later",
        "_poked",
        "_queued",
        "_queued_octets",
        "_slice_end",
        "_task",
        "assembler",
        "make_context",
        "on_lost",
        "proved",
        "service",
        "session",
        "session_id",
        "shared",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, shared: Shared, log: Log, session_id: str) -> None:
        super().__init__(loop, log, write_timeout_secs=shared.imap.imap_write_timeout_secs)
        self.shared = shared
        self.session_id = session_id
        self.service = "imap"
        self.assembler = Assembler(
            shared.imap.imap_login_max_line_length, literal_memory_octets=LITERAL_OCTETS_BEFORE_LOGIN
        )
        self.receive_at_most(RECEIVE_OCTETS_BEFORE_LOGIN)
        self.session: Session | None = None
        self.make_context: Callable[[], ssl.SSLContext | None] = _no_tls  # the TLS context for STARTTLS
        self.proved: tuple[Identity, User] | None = None  # known before the first word: PREAUTH
        self.on_lost: Callable[[ImapConnection], None] | None = None
        self._task: Direct | asyncio.Task[None] | None = None  # a command that waits
        self._queued = 0  # lines that came while it did
        self._queued_octets = 0
        self._held = False  # reading is paused
        self._line_waiter: asyncio.Future[None] | None = None
        self._poked = False
        self._poke_later: asyncio.TimerHandle | None = None
        self._on_tick: Callable[[], None] | None = None
        self._slice_end = 0.0  # of the client's turn; also when it was last heard, near enough
        self._at_eof = False  # the client has said all it will say
        self._first = True  # nothing has arrived yet

    # ---- the connection's life

    def ready(self) -> None:
        """Connected, or TLS is up: greet (once), and begin with clean buffers and a fresh idea of who this is."""
        greeted = self.session is not None
        peer = self.peer
        if self.session is None:
            self.shared = self.shared.at(peer.local_ip, peer.remote_ip)
        conn = ConnInfo("imap", self.session_id, *peer, self.secured, trusted=self.shared.is_trusted(peer.remote_ip))
        tls = self.tls_object() if self.secured else None
        if tls is not None:
            asked = self.shared.ssl.ssl_server_request_client_cert != "no"
            certificate = client_fields(tls, self.shared.ssl) if asked else {}
            conn = replace(conn, bindings=binding_kinds(tls), certificate=certificate)
        if self.session is None:
            self.session = Session(self, self.shared, conn, self.log)
        else:
            self.assembler.clear()
            self.session.conn = conn
        self.set_deadline(self.shared.imap.imap_first_command_timeout_secs, self._too_slow_to_begin)
        if self.proved is not None:
            identity, self.session.user = self.proved
            login.enter(self.session, identity, identity.username, "PREAUTH")
        if not greeted:
            login.greet(self.session, preauth=self.proved is not None)

    def peer_closed(self) -> None:
        """The client will send no more: what it sent is still answered, unless it idles."""
        if self._task is not None and self._line_waiter is None:
            self._at_eof = True
        else:
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        task = self._task
        if task is not None:
            task.cancel()
        self._on_tick = None
        if self._poke_later is not None:
            self._poke_later.cancel()
        if self.assembler.has_buffered:
            self.assembler.clear()
        session = self.session
        if session is not None:
            login.ended(session, "Connection closed" if exc is None else f"Connection closed: {exc}")
        if self.on_lost is not None:
            self.on_lost(self)
            self.on_lost = None
        self.session = None  # each knows the other: let go now, not when the garbage collector comes

    def _too_slow_to_begin(self) -> None:
        self._bye("Disconnected for inactivity.", "Inactivity before login")

    def _too_slow_to_log_in(self) -> None:
        self._bye("Disconnected: Too slow login.", "Too slow login")

    def _inactive(self) -> None:
        """The autologout time is over since it was set; begin again if the client did something meanwhile."""
        limit = self.shared.imap.imap_autologout_secs
        quiet_secs = self.loop.time() - self._slice_end
        if self._task is not None and self._line_waiter is None:
            quiet_secs = 0.0  # its command is still running
        if quiet_secs + 1.0 > limit:
            self._bye("Disconnected for inactivity.", "Inactivity")
        else:
            self.set_deadline(limit - max(quiet_secs, 0.0), self._inactive)

    def _bye(self, text: str, why: str) -> None:
        self.write(replies.untagged(b"BYE", text))
        if self.session is not None:
            self.session.end(why)
        else:
            self.close()

    def shut_down(self, text: str = "Server shutting down.", why: str = "Server shutting down.") -> None:
        """Say goodbye and end; a running command is not waited for."""
        self._bye(text, why)

    # ---- octets in

    def data(self, chunk: memoryview) -> None:
        session = self.session
        if session is None:
            return
        session.counters.received += len(chunk)
        if self._first:
            self._first = False
            if chunk[0] == 0x16:  # a TLS handshake on a plain port
                dispatch.bad(session, b"*", b"tag", "", b"\x16")
                return
            self.set_deadline(self.shared.imap.imap_login_timeout_secs, self._too_slow_to_log_in)
        self.assembler.feed(chunk)
        if self._task is None:
            self._slice_end = self.loop.time() + SLICE_SECS
            self.run_commands()
        else:
            self._while_busy(chunk)

    def _while_busy(self, chunk: memoryview) -> None:
        """A command is waiting: it may want this line; the rest stays where it is, up to a limit."""
        waiter = self._line_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
            return
        self._queued += bytes(chunk).count(b"\n")
        self._queued_octets += len(chunk)
        if self._queued > self.shared.imap.imap_pipeline_limit or self._queued_octets > PIPELINE_OCTETS:
            self._held = True
            self.pause_reading()

    def run_commands(self) -> None:
        """Run what is complete until something waits or the time slice is spent."""
        session = self.session
        assembler = self.assembler
        assert session is not None
        while not self.closing:
            event = assembler.next_event()
            if event is None:
                return
            if type(event) is Complete:
                task = run_direct(self.loop, dispatch.execute(session, event), self._guard)
            elif isinstance(event, Literal):
                task = run_direct(self.loop, self._literal(session, event), self._guard)
            else:
                assert isinstance(event, LineTooLong)
                dispatch.too_long(session, event)
                continue
            if task is None and not self.paused and not assembler.more():
                return
            if task is None and (self.paused or self.loop.time() > self._slice_end):
                task = self.loop.create_task(self.turn())  # others come first, and a client that does not read waits
            if task is not None:
                self._task = task
                task.add_done_callback(self._done)
                return

    async def _literal(self, session: Session, event: Literal) -> None:
        sink = await dispatch.decide_literal(session, event)
        if sink is dispatch.REFUSED:
            self.assembler.refuse()
            return
        if sink is not None:
            assert callable(sink)
            self.assembler.take_literal(sink, sink)
        if event.sync:
            self.write(replies.CONTINUE)

    def _done(self, task: Direct | asyncio.Task[None]) -> None:
        """The command that waited is over: go on with what came meanwhile."""
        self._task = None
        if not task.cancelled() and (exc := task.exception()) is not None and not isinstance(exc, ConnectionLost):
            self.log.exception("Connection ended by an internal error", exc=exc)
            self.abort()
        if self.closing:
            return
        self._slice_end = self.loop.time() + SLICE_SECS
        if self.assembler.has_buffered:
            self._guard(self.run_commands)
        if self._task is None:
            if self._at_eof:
                self.close()
            else:
                self._read_on()

    def _read_on(self) -> None:
        """Everything that came is answered, not before: who sends faster than we answer must not fill the memory."""
        self._queued = self._queued_octets = 0
        if self._held:
            self._held = False
            self.resume_reading()

    # ---- what a session may ask (services.imap.session.Client)

    def write(self, data: bytes) -> None:
        octets = len(data)
        session = self.session
        if session is not None:
            session.counters.sent += octets
        if self._busy and not self.closing and self._out_octets + octets < FLUSH_OCTETS:
            self._out.append(data)  # the usual case of Connection.write
            self._out_octets += octets
        else:
            Connection.write(self, data)

    def closed(self) -> bool:
        return self.closing

    def due(self) -> bool:
        return self.paused or self.closing or self.loop.time() > self._slice_end

    async def turn(self) -> None:
        if self.paused or self.closing:
            await self.drained()
        else:
            self.flush()
            await asyncio.sleep(0)
        self._slice_end = self.loop.time() + SLICE_SECS

    async def line(self) -> bytes:
        while True:
            line = self.assembler.next_line()
            if line is not None:
                return _checked(line)
            await self._wait_for_line()

    async def line_or_poke(self) -> bytes | None:
        line = self.assembler.next_line()
        if line is None and not self._poked:
            await self._wait_for_line()
            line = self.assembler.next_line()
        self._poked = False
        return None if line is None else _checked(line)

    async def _wait_for_line(self) -> None:
        if self._at_eof:  # the line will never come
            self.close()
        if self.closing:
            raise ConnectionLost("Connection closed")
        self.flush()
        self._read_on()
        self._line_waiter = self.loop.create_future()
        try:
            await self._line_waiter
        finally:
            self._line_waiter = None

    def poke(self) -> None:
        self._poked = True
        waiter = self._line_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def poke_in(self, secs: float) -> None:
        self._poke_later = self.loop.call_later(secs, self.poke)

    def idling(self, on_tick: Callable[[], None] | None) -> None:
        self._on_tick = on_tick
        if self.closing:
            return
        if on_tick is None:
            self.set_deadline(self.shared.imap.imap_autologout_secs, self._inactive)
            return
        self._next_tick()

    def _next_tick(self) -> None:
        """Ticks of all sessions of one user at one address fall together, so that a phone's radio wakes once."""
        interval = self.shared.imap.imap_idle_notify_interval_secs
        session = self.session
        if not interval or session is None:
            self.cancel_deadline()
            return
        shift = zlib.crc32(f"{session.username} {session.conn.remote_ip}".encode()) % interval
        left = interval - (self.loop.time() + shift) % interval
        self.set_deadline(left if left > 1.0 else left + interval, self._tick)

    def _tick(self) -> None:
        if self._on_tick is not None:
            self._on_tick()
            self._next_tick()

    def logged_in(self) -> None:
        limits = self.shared.imap
        self.assembler.max_line_octets = limits.imap_max_line_length
        self.assembler.literal_memory_octets = PIPELINE_OCTETS
        self.receive_at_most(RECEIVE_BUFFER_OCTETS)
        self.set_deadline(limits.imap_autologout_secs, self._inactive)

    def begin_tls(self) -> None:
        """STARTTLS was answered: what the client sent before the handshake is thrown away."""
        self.assembler.clear()
        context = self.make_context()
        if context is None:
            self.close()
        else:
            self.start_tls(context)

    def tls_name(self) -> str:
        found = self.tls_object()
        cipher = found.cipher() if found is not None else None
        return f"{found.version()} with cipher {cipher[0]}" if found is not None and cipher else ""

    def binding_data(self, kind: str) -> bytes | None:
        tls = self.tls_object()
        return binding_data(tls, kind) if tls is not None else None


def _checked(line: bytes | LineTooLong) -> bytes:
    if isinstance(line, LineTooLong):
        raise Malformed("Too long line.")
    return line


def _no_tls() -> None:
    """No certificate."""
