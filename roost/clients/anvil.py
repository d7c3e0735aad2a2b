"""A worker's connection to the anvil room: announce sessions, learn how many a user has, obey kicks.

Announcements leave together, within ANNOUNCE_SECS, or at once where a user's sessions become more; a session that ends
before it was announced is not. A login waits for an answer only when the user may be near the limit: anvil has told a
bound for the sessions of other workers, and says so when it is exceeded.

When anvil is away, logged once, logins go on: the count is then that of this process alone, and every session is
announced anew as soon as anvil is back.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from roost.clients.link import Greeting, Link
from roost.errors import Malformed
from roost.events.log import Log
from roost.ipc import anvil as wire
from roost.ipc.handshake import is_number
from roost.ipc.lines import MAX_LINE_OCTETS, decode_text, encode

KickCallback = Callable[[str], bool]
"""Called with a session id; ends that session soon and returns whether it was there."""

ANNOUNCE_SECS = 0.02  # sessions that come and go are told together, not later than this
GROWING_SECS = 0.001  # a user whose sessions become more is told of much sooner


class _Session:
    """A session of this process. ``told``: anvil knows it, or knows an earlier one of the same id."""

    __slots__ = ("key", "remote_ip", "service", "told", "user")

    def __init__(self, user: str, service: str, remote_ip: str, *, told: bool) -> None:
        self.user = user
        self.service = service
        self.remote_ip = remote_ip
        self.key = wire.key_of(user, service, remote_ip)
        self.told = told


@dataclass(slots=True)
class _Reply:
    """An answer to come. ``key``: of a CONNECT, whose second number is about it."""

    due: float
    future: asyncio.Future[int | None]
    key: wire.Key | None


class Anvil:
    """One per worker process. ``on_kick`` may be set later; without it kicks find nothing."""

    def __init__(
        self,
        socket_path: str,
        log: Log,
        *,
        service: str,
        timeout_secs: float = 2.0,
        on_kick: KickCallback | None = None,
    ) -> None:
        self.on_kick = on_kick
        self.log = log
        self._service = service
        self._timeout_secs = timeout_secs
        self._pid = os.getpid()
        self._sessions: dict[str, _Session] = {}
        self._counts: dict[wire.Key, int] = {}  # none is 0
        # By session id, for only the last word about a session counts: a session to be announced, or a line.
        self._unsent: dict[str, _Session | bytes] = {}
        self._flush_handle: asyncio.TimerHandle | None = None
        self._flush_due = 0.0
        self._growth: dict[wire.Key, int] = {}  # sessions since the last flush, less those that ended
        self._bounds: dict[wire.Key, int] = {}  # other workers have no more sessions than this
        self._replies: deque[_Reply] = deque()
        self._timeout_handle: asyncio.TimerHandle | None = None
        self._complained = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link = Link(
            socket_path,
            Greeting(wire.CLIENT, wire.SERVER, wire.MAJOR, wire.MINOR),
            log,
            on_up=self._up,
            on_lines=self._lines,
            on_down=self._down,
            max_line_octets=MAX_LINE_OCTETS,
        )

    async def start(self) -> None:
        """Connect. An absent anvil is tried again in the background; no error."""
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        await self._link.start()

    async def stop(self) -> None:
        self._flush()
        await self._link.stop()
        self._down()

    async def connect(
        self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
    ) -> int:
        """Announce a session; how many user+service+ip have now, this one included. Never raises.

        With ``limit`` (0: none) the number only says rightly whether it is above the limit, which mostly needs no wait.
        """
        session = self._add(session_id, user, service, remote_ip)
        key = session.key
        count = self._counts[key]
        found: int | None = None
        if self._link.up:
            bound = self._bounds.get(key)
            if limit == 0 or (limit is not None and bound is not None and count + bound <= limit):
                growth = self._growth[key] = self._growth.get(key, 0) + 1
                self._unsent[session_id] = session
                self._flush_in(ANNOUNCE_SECS if growth <= 1 else GROWING_SECS)
                return count
            session.told = True
            self._unsent.pop(session_id, None)
            self._send_now(wire.connect_line(session_id, self._pid, user, service, remote_ip))
            found = await self._reply(key)
        return found if found is not None else self._counts.get(key, 0)

    def disconnect(self, session_id: str) -> None:
        """The session is over. Does not wait; unknown ids are ignored."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        key = session.key
        self._one_less(key)
        if self._link.up:
            self._growth[key] = self._growth.get(key, 0) - 1
            if session.told:
                line = wire.disconnect_line(session_id, self._pid, session.user, session.service, session.remote_ip)
                self._unsent[session_id] = line
                self._flush_in(ANNOUNCE_SECS)
            else:
                self._unsent.pop(session_id, None)

    async def lookup(self, user: str, service: str, remote_ip: str) -> int:
        """How many sessions user+service+ip have."""
        found: int | None = None
        if self._link.up:
            self._send_now(encode("LOOKUP", user, service, remote_ip))
            found = await self._reply(None)
        return found if found is not None else self._counts.get(wire.key_of(user, service, remote_ip), 0)

    # ---- inside

    def _add(self, session_id: str, user: str, service: str, remote_ip: str) -> _Session:
        old = self._sessions.get(session_id)
        told = session_id in self._unsent  # then anvil is still to hear that the earlier one ended
        if old is not None:
            self._one_less(old.key)
            told = old.told
        session = self._sessions[session_id] = _Session(user, service, remote_ip, told=told)
        key = session.key
        self._counts[key] = self._counts.get(key, 0) + 1
        return session

    def _one_less(self, key: wire.Key) -> None:
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]

    def _flush_in(self, secs: float) -> None:
        """Send what is unsent within ``secs``."""
        assert self._loop is not None
        if self._flush_handle is not None:
            if secs >= ANNOUNCE_SECS:  # nothing waits longer than that: it is due already
                return
            if self._loop.time() + secs >= self._flush_due - 0.001:
                return
            self._flush_handle.cancel()
        self._flush_due = self._loop.time() + secs
        self._flush_handle = self._loop.call_later(secs, self._flush)

    def _send_now(self, line: bytes) -> None:
        """Send after what was to be sent before it."""
        self._flush()
        self._link.write(line)

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._unsent:
            lines: list[bytes] = []
            for session_id, word in self._unsent.items():
                if isinstance(word, bytes):
                    lines.append(word)
                else:
                    word.told = True
                    lines.append(self._quiet_line(session_id, word))
            self._link.write(b"".join(lines))
            self._unsent.clear()
        self._growth.clear()

    def _reply(self, key: wire.Key | None) -> asyncio.Future[int | None]:
        """The next number anvil sends; None when it does not come in time."""
        assert self._loop is not None
        future: asyncio.Future[int | None] = self._loop.create_future()
        self._replies.append(_Reply(self._loop.time() + self._timeout_secs, future, key))
        if self._timeout_handle is None:
            self._timeout_handle = self._loop.call_later(self._timeout_secs, self._check_timeouts)
        return future

    def _check_timeouts(self) -> None:
        """Give up on late answers; their places stay, for answers come in order."""
        assert self._loop is not None
        self._timeout_handle = None
        now = self._loop.time() + 0.01
        for reply in self._replies:
            if reply.future.done():
                continue
            if reply.due > now:
                self._timeout_handle = self._loop.call_at(reply.due, self._check_timeouts)
                return
            reply.future.set_result(None)
            if not self._complained:
                self._complained = True
                self.log.warning(f"anvil did not answer in {self._timeout_secs:g} secs, letting users in")

    def _up(self) -> None:
        self._complained = False
        self._unsent.clear()
        self._link.write(encode(self._service, str(self._pid)))
        for session_id, session in self._sessions.items():
            session.told = True
            self._link.write(self._quiet_line(session_id, session))

    def _quiet_line(self, session_id: str, session: _Session) -> bytes:
        user, service, remote_ip = session.user, session.service, session.remote_ip
        return wire.connect_line(session_id, self._pid, user, service, remote_ip, quiet=True)

    def _down(self) -> None:
        self._unsent.clear()
        self._bounds.clear()
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
            self._timeout_handle = None
        replies = list(self._replies)
        self._replies.clear()
        for reply in replies:
            if not reply.future.done():
                reply.future.set_result(None)

    def _lines(self, lines: list[bytes]) -> None:
        for line in lines:
            fields = decode_text(line)
            if fields[0] == "KICK":
                self._kick(fields)
            elif fields[0] == "BOUND":
                self._take_bound(fields)
            elif self._replies:
                self._answered(self._replies.popleft(), fields)
            else:
                raise Malformed("Unexpected reply.", detail=f"got {line[:80]!r}")

    def _answered(self, reply: _Reply, fields: list[str]) -> None:
        if reply.key is not None and len(fields) == 2 and is_number(fields[1]):
            self._bounds[reply.key] = int(fields[1])
        if not reply.future.done():
            reply.future.set_result(int(fields[0]) if is_number(fields[0]) else None)

    def _take_bound(self, fields: list[str]) -> None:
        if len(fields) != 5:
            raise Malformed("Invalid request.", detail="BOUND with wrong parameters")
        key = (fields[1], fields[2], fields[3])
        if is_number(fields[4]):
            self._bounds[key] = int(fields[4])
        else:
            self._bounds.pop(key, None)

    def _kick(self, fields: list[str]) -> None:
        if len(fields) != 4 or not is_number(fields[1]):
            raise Malformed("Invalid request.", detail="KICK with wrong parameters")
        _word, request, user, wanted = fields
        count = 0
        for session_id, session in tuple(self._sessions.items()):
            if session.user != user or wanted not in ("", session_id):
                continue
            try:
                if self.on_kick is not None and self.on_kick(session_id):
                    count += 1
            except Exception as exc:
                self.log.exception("Kick failed", exc=exc)
        self._link.write(wire.kicked_line(int(request), count))
