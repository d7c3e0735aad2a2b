"""One LMTP client's octets: lines to ``dispatch``, the message to its spool, answers out (RFC 2033, RFC 2920).

Commands run in the order they came, in one conversation a connection: a coroutine that is started inline when octets
arrive and ends when they are used up. Where it waits for one answer (userdb, store) it goes on in the turn that brings
it, else as a task. While it waits, what arrives is kept up to ``PENDING_OCTETS``; then reading stops. The message
itself never passes through a coroutine.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from roost.errors import Malformed
from roost.net.connection import Connection, ConnectionLost
from roost.net.inline import Direct, run_direct, run_inline
from roost.smtp.data import ChunkReader, DataReader
from roost.smtp.lines import LineReader
from roost.smtp.replies import REPLIES
from services.lmtp import dispatch
from services.lmtp.command import Answer, Then
from services.lmtp.deliver import deliver_all
from services.lmtp.session import Session
from services.lmtp.shared import Shared

PENDING_OCTETS = 64 * 1024
COMMANDS_A_TURN = 200  # then other connections get a turn


class Keeper(Protocol):
    """Who wants to know of the connection's life (the room)."""

    def joined(self, connection: LmtpConnection) -> None: ...

    def left(self, connection: LmtpConnection) -> None: ...

    def doing(self, connection: LmtpConnection, username: str, state: str) -> None:
        """For the process title."""
        ...

    def adopt(self, task: asyncio.Task[None]) -> None: ...


class LmtpConnection(Connection):
    """``ready`` greets; everything else answers what came."""

    __slots__ = (
        "_chunk",
        "_content",
        "_held",
        "_keeper",
        "_lines",
        "_peer_gone",
        "_reading_paused",
        "_shared",
        "_task",
        "session",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, shared: Shared, keeper: Keeper) -> None:
        super().__init__(loop, shared.log, write_timeout_secs=shared.settings.lmtp_write_timeout_secs)
        self._shared = shared
        self._keeper = keeper
        self._lines = LineReader(shared.settings.lmtp_max_line_octets)
        self._content: DataReader | ChunkReader | None = None  # a message, or a chunk of one, is arriving
        self._chunk: Answer | None = None  # what asked for the chunk
        self._task: Direct | asyncio.Task[None] | None = None
        self._held: list[bytes] = []  # answers of the batch being answered
        self._reading_paused = False
        self._peer_gone = False  # it will send no more, but may still read answers
        self.session: Session | None = None

    # ---- the frame's calls

    def ready(self) -> None:
        if self.session is not None:  # after STARTTLS
            self.session.restart()
            self._arm()
            return
        self.session = Session(self._shared, self.peer, secured=self.secured)
        self._shared.log.info(f"Connect from {self.peer.remote_ip or 'local'}")
        self.write(REPLIES["GREETING"].line(f"{self._shared.hostname} {REPLIES['GREETING'].text}"))
        self._arm()
        self._keeper.joined(self)

    def data(self, chunk: memoryview) -> None:
        self._take(bytes(chunk))
        if self._task is None:
            self._arm()
            self._go()
        elif self._lines.pending_octets > PENDING_OCTETS and not self._reading_paused:
            self._reading_paused = True
            self.pause_reading()

    def peer_closed(self) -> None:
        self._peer_gone = True
        if self._task is None:  # else the conversation closes when it has answered everything
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        session = self.session
        if session is None:
            return
        if self._task is None:
            self._forget(session)
        state = session.state.name
        self._keeper.left(self)
        self._shared.log.info(f"Disconnect from {self.peer.remote_ip or 'local'} (state={state})")

    # ---- the room's calls

    def drain(self, *, politely: bool) -> None:
        """The process is to end: say goodbye now, or after the transaction that has begun. ``politely``: also while a
        message is still arriving, since nothing was promised for it."""
        session = self.session
        if session is None:
            self.abort()
            return
        session.draining = True
        if self._task is None and (politely or (session.transaction is None and self._content is None)):
            self._goodbye()

    def _goodbye(self) -> None:
        self.write(REPLIES["SHUTTING_DOWN"].wire)
        self.close()

    # ---- octets in

    def _arriving(self) -> bool:
        """In the middle of a message or chunk."""
        return self._content is not None and self._content.rest is None

    def _take(self, octets: bytes) -> None:
        """What arrived, to the message if one is arriving, else to the lines."""
        content = self._content
        if content is not None and self._arriving():
            stored = content.feed(octets)
            session = self.session
            transaction = session.transaction if session is not None else None
            if transaction is not None and transaction.spool is not None:
                transaction.spool.write(stored)
            if content.rest is None:
                return
            octets = content.rest
        if octets:
            self._lines.feed(octets)

    def _arm(self) -> None:
        self.set_deadline(self._shared.settings.lmtp_timeout_secs, self._timed_out)

    def _timed_out(self) -> None:
        if self._task is None:  # else it is us who take long
            self.write(REPLIES["TIMEOUT"].wire)
            self.close()

    # ---- the conversation

    def _go(self) -> None:
        session = self.session
        if session is None or self._arriving():
            return  # nothing can be answered in the middle of a message
        task = run_direct(self.loop, self._converse(session), self._guard)
        if task is not None:
            self._task = task
            task.add_done_callback(self._waited)
        elif session.draining:
            self._at_rest(session)

    def _waited(self, task: Direct | asyncio.Task[None]) -> None:
        """The conversation had to wait and has ended."""
        self._task = None
        session = self.session
        broken = task.cancelled()
        if not broken and (exc := task.exception()) is not None:
            broken = True
            self._shared.log.exception("Conversation ended by an internal error", exc=exc)
        if session is None or self.closing:
            if session is not None:
                self._forget(session)
        elif broken:
            self.write(REPLIES["BROKEN"].wire)
            self.close()
        else:
            self._arm()
            if self._reading_paused:
                self._reading_paused = False
                self.resume_reading()
            self._guard(self._go)  # what came between the task's end and this call
            self._at_rest(session)

    def _at_rest(self, session: Session) -> None:
        """Everything that has come is answered: time to part, if there is a reason."""
        if self._task is not None or self.closing:
            return
        if self._peer_gone:
            self.close()
        elif session.draining and session.transaction is None and not self._arriving():
            self._goodbye()

    async def _converse(self, session: Session) -> None:
        """Answer everything that is complete; the answers of one batch leave together, also if a command had to wait
        (RFC 2920 §3.2)."""
        try:
            await self._answer_all(session)
        finally:
            self._release()

    async def _answer_all(self, session: Session) -> None:
        turn = 0
        while not self.closing:
            content = self._content
            if content is not None:
                if content.rest is None:
                    return
                self._content = None
                await self._message(session, content)
            else:
                try:
                    line = self._lines.next_line()
                    if line is None:
                        return
                    answer = await dispatch.answer(session, line)
                except Malformed as error:  # the line was too long
                    answer = dispatch.failed(session, error)
                self._act(session, answer)
            turn += 1
            if turn % COMMANDS_A_TURN == 0:
                self._release()
                await asyncio.sleep(0)
            if self.paused:
                try:
                    await self.drained()
                except ConnectionLost:
                    return

    def _act(self, session: Session, answer: Answer) -> None:
        then = answer.then
        if then is not Then.CHUNK:
            self._held.append(answer.wire)
        if then is Then.GO_ON:
            return
        if then is Then.CLOSE:
            self._release()
            self.close()
        elif then is Then.TLS:
            self._release()
            self._lines.take()  # said before the handshake: never heard
            context = self._shared.tls_context()
            if context is None:
                self.close()
            else:
                self.start_tls(context)
        else:
            if then is Then.DATA:
                self._content = DataReader()
                if session.transaction is not None:
                    self._keeper.doing(self, session.transaction.recipients[0].identity.username, "DATA")
            else:
                self._content = self._chunks(session, answer)
            self._take(self._lines.take())

    def _release(self) -> None:
        """Send the answers held back."""
        held = self._held
        if held:
            self.write(held[0] if len(held) == 1 else b"".join(held))
            held.clear()
        if self._task is not None:
            self.flush()  # not one turn of the loop later

    def _deliver_reply(self, wire: bytes) -> None:
        """A recipient's reply goes out at once, whatever the next one waits for."""
        self._held.append(wire)
        self._release()

    def _chunks(self, session: Session, answer: Answer) -> ChunkReader:
        """The reader for one BDAT chunk; all chunks of a message share one, a refused chunk has its own."""
        self._chunk = answer
        transaction = session.transaction
        if answer.wire or transaction is None:
            reader = ChunkReader()
        else:
            if transaction.chunks is None:
                transaction.chunks = ChunkReader()
            reader = transaction.chunks
        reader.expect(answer.size_octets)
        return reader

    async def _message(self, session: Session, content: DataReader | ChunkReader) -> None:
        """A whole message, or one chunk, is here."""
        chunk, self._chunk = self._chunk, None
        transaction = session.transaction
        if chunk is not None and chunk.wire:
            self._held.append(chunk.wire)
            if session.errors >= self._shared.settings.lmtp_max_errors:
                self._deliver_reply(REPLIES["TOO_MANY_ERRORS"].wire)
                self.close()
            return
        assert transaction is not None
        assert transaction.spool is not None
        if chunk is not None and not chunk.last:
            self._held.append(REPLIES["CHUNK_OK"].line(f"{chunk.size_octets} octets received"))
            return
        if isinstance(content, ChunkReader):
            transaction.spool.write(content.finish())
        await deliver_all(session, transaction, self._deliver_reply)
        await session.reset()
        self._keeper.doing(self, "", "READY")
        if session.draining:
            self._goodbye()

    def _forget(self, session: Session) -> None:
        """The client is gone: throw away what had arrived."""
        task = run_inline(self.loop, session.reset())
        if task is not None:
            self._keeper.adopt(task)
