"""One connection of the auth room to this worker: greeting, configuration check, then requests, each a task."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from roost.auth.api import Entry, Outcome, Passdb, Userdb, token_verifier_of, verifier_of
from roost.errors import Malformed, RoostError, Unavailable
from roost.events.log import sanitize
from roost.ipc import auth_worker as wire
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection, ConnectionLost
from roost.util.secret import Secret
from services.auth.workers.databases import traits_of
from services.auth.workers.naming import VARIABLE, query_of

if TYPE_CHECKING:
    from services.auth.workers.main import WorkerRoom

GREETING_SECS = 10.0
NAME_BATCH = 500

RESULT_OF = {
    Outcome.OK: wire.RESULT_OK,
    Outcome.MISMATCH: wire.RESULT_MISMATCH,
    Outcome.UNKNOWN: wire.RESULT_UNKNOWN,
    Outcome.DISABLED: wire.RESULT_DISABLED,
    Outcome.EXPIRED: wire.RESULT_EXPIRED,
    Outcome.NEXT: wire.RESULT_NEXT,
    Outcome.SCHEME_NOT_AVAILABLE: wire.RESULT_SCHEME,
}
OUTCOME_OF = {result: outcome for outcome, result in RESULT_OF.items()}


class Job:
    """One request at work (``watchdog.Work``)."""

    __slots__ = ("connection", "request", "task")

    def __init__(self, connection: WorkerConnection, request: wire.Request) -> None:
        self.connection = connection
        self.request = request
        self.task: asyncio.Task[None] | None = None

    @property
    def label(self) -> str:
        """For log lines."""
        user = self.request.arguments.get("user", "")
        return f"{self.request.command}({sanitize(user[:64])})"

    def give_up(self, reason: str) -> None:
        self.connection.last_words(wire.reply_line(_failed(self.request.id, reason)))


class WorkerConnection(Connection):
    """See the head of this file."""

    def __init__(self, room: WorkerRoom) -> None:
        super().__init__(room.loop, room.log)
        self._room = room
        self._splitter = LineSplitter(wire.MAX_LINE_OCTETS)
        self._greeted = 0
        self._jobs: dict[int, Job] = {}
        self._told: set[str] = set()  # databases whose traits the peer knows
        self._failing = False
        self._fd = -1

    # --- the frame's calls

    def ready(self) -> None:
        self._room.entered(self)
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None:
            self._fd = os.dup(sock.fileno())
        self.write(version_line(wire.WORKER, wire.MAJOR, wire.MINOR) + wire.limit_line(self._room.process_limit))
        self.set_deadline(GREETING_SECS, self.abort)

    def data(self, chunk: memoryview) -> None:
        try:
            for line in self._splitter.feed(chunk):
                self._line(line)
                if self.closing:
                    return
        except Malformed as error:
            self.log.error(f"BUG: The auth room sent invalid input: {sanitize(error.detail or error.client_text)}")
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        self._room.left(self)
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def last_words(self, line: bytes) -> None:
        """Called by the watchdog, from its thread, just before the end: what was to be written, and this line."""
        transport = self._transport
        try:
            if transport is not None and not transport.get_write_buffer_size():  # else half a line may be out
                os.write(self._fd, b"".join([*self._out, line]))
        except (OSError, RuntimeError):
            pass

    # --- lines

    def _line(self, line: bytes) -> None:
        """Raises Malformed for what ends the connection."""
        if self._greeted == 0:
            check_version(line, wire.MASTER, wire.MAJOR)
            self._greeted = 1
        elif self._greeted == 1:
            self._greeted = 2
            self.cancel_deadline()
            if wire.parse_hashes(line) == self._room.hashes:
                self.write(wire.state_line(wire.SUCCESS))
            else:
                self.log.info("The auth room has another configuration, asking to be replaced")
                self.write(wire.state_line(wire.RESTART))
                self.close()
                self._room.retire()
        else:
            request = wire.parse_request(line)
            if request.command == wire.CANCEL:
                job = self._jobs.get(request.id)
                if job is not None and job.task is not None:
                    job.task.cancel()
                return
            if request.id in self._jobs:
                raise Malformed("Duplicate ID.", detail="a request with the ID of one at work")
            job = self._jobs[request.id] = Job(self, request)
            job.task = self.loop.create_task(self._run(job))
            self._room.adopt(job.task)

    async def _run(self, job: Job) -> None:
        request, room = job.request, self._room
        room.watchdog.enter(job, job.task)
        failing = True
        try:
            reply = await self._answer(request)
            failing = reply.word == wire.FAIL and reply.result == wire.RESULT_INTERNAL
        except asyncio.CancelledError:
            reply = _failed(request.id, "cancelled")
            failing = self._failing
        except ConnectionLost:
            return
        except RoostError as error:
            reply = _failed(request.id, error.detail or error.client_text)
        except MemoryError:
            self.log.error(f"{job.label}: out of memory (service auth-worker {{ vsz_limit }}), this process retires")
            reply = _failed(request.id, "The worker is out of memory")
            room.wear_out()
        except Exception as error:
            self.log.exception(f"{job.label}: the driver failed")
            reply = _failed(request.id, f"The driver failed: {type(error).__name__}")
        finally:
            room.watchdog.leave(job)
            self._jobs.pop(request.id, None)
        self._reply(reply, failing=failing)

    def _reply(self, reply: wire.Reply, *, failing: bool) -> None:
        line = wire.reply_line(reply)
        if len(line) > wire.MAX_LINE_OCTETS:
            line = wire.reply_line(_failed(reply.id, f"The database's answer has {len(line)} octets"))
        if failing != self._failing:
            self._failing = failing
            self.write(wire.state_line(wire.ERROR if failing else wire.SUCCESS))
        self.write(line)
        if self._room.has_served():
            self.write(wire.state_line(wire.RESTART))

    # --- commands

    async def _answer(self, request: wire.Request) -> wire.Reply:
        """The reply. Raises what the driver raises."""
        query = query_of(request.arguments)
        databases = self._room.databases
        if request.command == wire.PASSW:
            result = await self._room.compare(request.stored, request.secret, query)
            return wire.Reply(request.id, wire.OK if result == wire.RESULT_OK else wire.FAIL, result)
        if request.command in (wire.USER, wire.LIST):
            userdb = await databases.userdb(request.database, query.service)
            self._tell(request.database, userdb)
            if request.command == wire.LIST:
                return await self._list(request.id, userdb)
            fields = await userdb.find(query)
            if fields is None:
                return wire.Reply(request.id, wire.NOTFOUND)
            return wire.Reply(request.id, wire.OK, wire.RESULT_OK, fields=fields)
        passdb = await databases.passdb(request.database, query.service)
        self._tell(request.database, passdb)
        if request.command == wire.PASSL:
            return _entry_reply(request.id, await passdb.find(query))
        if request.command == wire.TOKEN:
            tokens = token_verifier_of(passdb)
            if tokens is None:
                raise Unavailable("No tokens here.", detail="the driver does not verify tokens")
            return _entry_reply(request.id, await tokens.verify_token(query, Secret(request.secret)))
        verifier = verifier_of(passdb)
        if verifier is None:
            return _entry_reply(request.id, await passdb.find(query), compare=True)
        entry = await verifier.verify(query, Secret(request.secret))
        return _entry_reply(request.id, entry, compare=entry is not None and entry.unverified)

    async def _list(self, request_id: int, userdb: Userdb) -> wire.Reply:
        names = userdb.iterate()
        if names is None:
            raise Unavailable(
                "Listing users failed.", detail="Trying to iterate users, but the userdb doesn't support it"
            )
        lines: list[bytes] = []
        try:
            async for name in names:
                lines.append(wire.name_line(request_id, name))
                if len(lines) >= NAME_BATCH:
                    self.write(b"".join(lines))
                    lines.clear()
                    await self.drained()
                    await asyncio.sleep(0)  # a list out of memory must not hold up the loop
        finally:
            self.write(b"".join(lines))
        return wire.Reply(request_id, wire.OK, wire.RESULT_OK)

    def _tell(self, database: str, driver: Passdb | Userdb) -> None:
        if database not in self._told:
            self._told.add(database)
            self._room.bound(getattr(driver, "max_requests", 0))
            self.write(wire.info_line(database, traits_of(driver)))


def _entry_reply(request_id: int, entry: Entry | None, *, compare: bool = False) -> wire.Reply:
    if entry is None:
        return wire.Reply(request_id, wire.COMPARE if compare else wire.FAIL, wire.RESULT_UNKNOWN)
    result = RESULT_OF[entry.outcome]
    if compare:
        word = wire.COMPARE
    else:
        word = {wire.RESULT_OK: wire.OK, wire.RESULT_NEXT: wire.NEXT}.get(result, wire.FAIL)
    fields = entry.fields
    if entry.variables:
        fields = {**fields, **{VARIABLE + name: value for name, value in entry.variables.items()}}
    return wire.Reply(request_id, word, result, "", entry.password or "", entry.reason, fields)


def _failed(request_id: int, reason: str) -> wire.Reply:
    return wire.Reply(request_id, wire.FAIL, wire.RESULT_INTERNAL, reason=reason)
