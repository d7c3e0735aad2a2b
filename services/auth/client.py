"""One connection of the auth client protocol (sockets of type auth, login and auth-legacy).

The wire form and what ends a connection: ``docs/protocols/auth.md``. Whatever a client's client sends in a SASL
response ends that one request; only a peer that breaks the protocol itself is disconnected.

Bounds: a line of ``auth_max_line_octets``, ``auth_max_requests`` unfinished requests (one more is answered with a
temporary failure), ``auth_request_timeout`` without progress. Reading stops while the peer does not take our answers.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from roost.errors import Malformed
from roost.events.log import sanitize
from roost.ipc import auth as wire
from roost.ipc import auth_binding
from roost.ipc.lines import LineSplitter
from roost.net.connection import Connection
from roost.net.inline import run_inline
from roost.sasl import MECHANISMS
from roost.sasl.base import Bind, Broken, Challenge, Rejected, Turn
from roost.util.penalty import secs_of
from services.auth import penalty, tls
from services.auth.core import Verdict
from services.auth.request import Request, State, Success
from services.auth.short import LINE, Question

if TYPE_CHECKING:
    from services.auth.main import AuthRoom

TIMED_OUT = "Authentication request timed out"
UNEXPECTED = "Unexpected continuation"
TOO_LONG = "The client's message is longer than auth_max_response_octets"
TOO_MANY = "Too many authentication requests"


class ClientConnection(Connection):
    """See the head of this file."""

    def __init__(self, room: AuthRoom, *, login: bool, legacy: bool = False) -> None:
        super().__init__(room.loop, room.log)
        self.room = room
        self.login = login
        self.cpid = 0
        self._more: dict[str, str] = {}
        self.cuid = room.next_cuid()
        self.key = f"connection {self.cuid}"
        self.cookie = room.entropy(16)
        self.requests: dict[int, Request] = {}  # the one longest without progress first
        self.successes: dict[int, Success] = {}  # of login clients, until REQUEST takes them
        self._legacy = legacy
        self._minor = -1
        self._splitter = LineSplitter(room.settings.auth_max_line_octets)

    # --- the frame's calls ---

    def ready(self) -> None:
        self.room.clients.add(self)
        self.write(wire.VERSION_LINE + (self._hello() if self._legacy else b""))

    def data(self, chunk: memoryview) -> None:
        try:
            for line in self._splitter.feed(chunk):
                self._line(line)
                if self.closing:
                    return
        except Malformed as error:
            what = sanitize(error.detail or error.client_text)
            self.log.error(f"BUG: Authentication client sent invalid input: {what} (pid={self.cpid or '?'})")
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        self.room.clients.discard(self)
        if self.room.by_cpid.get(self.cpid) is self:
            del self.room.by_cpid[self.cpid]
        for request in list(self.requests.values()):
            self._end(request)
        self.successes.clear()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resume_reading()

    # --- lines ---

    def _line(self, line: bytes) -> None:
        """Raises Malformed for what ends the connection."""
        question = None
        if (
            self.login
            and self.cpid
            and (found := LINE.fullmatch(line)) is not None
            and self._has_room_for(found[1])
            and not (self.room.penalties.by_address and self.room.penalties.concerns(line))
        ):
            question = self.room.short.answer(found)
            if type(question) is bytes:
                self.write(question)
                return
        command, *arguments = line.split(b"\t")
        if self.cpid:
            if command == b"AUTH":
                self._auth(arguments, question if isinstance(question, Question) else None)
            elif command == b"CONT":
                self._continue(arguments)
            elif command == b"CANCEL":
                self._cancel(arguments)
            else:
                raise Malformed("Unknown command.", detail=f"unknown command: {wire.shown_command(command)}")
        elif command == b"VERSION" and self._minor < 0:
            self._minor = wire.parse_version(arguments)
            if not self._legacy:
                self.write(self._hello())
        elif command == b"CPID" and (self._minor >= 0 or self._legacy):
            self._take_cpid(arguments)
        else:
            raise Malformed("Unknown command.", detail=f"unknown handshake command: {wire.shown_command(command)}")

    def _has_room_for(self, request_id: bytes) -> bool:
        """Nothing is to be said about a request but its answer."""
        requests = self.requests
        return not requests or (
            int(request_id) not in requests and len(requests) < self.room.settings.auth_max_requests
        )

    def _hello(self) -> bytes:
        return wire.server_hello(
            tls.shown_to(self.room.mechanism_flags, self._minor), self.room.pid, self.cuid, self.cookie
        )

    def _take_cpid(self, arguments: list[bytes]) -> None:
        """On a login socket the number names the client for REQUEST, so it must be its own."""
        if not arguments or not arguments[0].isdigit() or len(arguments[0]) > 10:
            raise Malformed("Invalid CPID.", detail="CPID without a number")
        cpid = int(arguments[0])
        if self.login:
            if cpid == 0:
                raise Malformed("Invalid CPID.", detail="login client said it has PID 0")
            if cpid in self.room.by_cpid:
                raise Malformed("Invalid CPID.", detail=f"login client gave a PID {cpid} of existing connection")
            self.room.by_cpid[cpid] = self
        self.cpid = cpid or -1
        self._more = {"client_pid": str(cpid)}

    def _auth(self, arguments: list[bytes], question: Question | None = None) -> None:
        command = wire.parse_auth(arguments, max(self._minor, 0))
        if command.id in self.requests:
            raise Malformed("Duplicate ID.", detail=f"AUTH with the pending ID {command.id}")
        if command.mechanism not in self.room.mechanism_flags:
            raise Malformed("Unknown mechanism.", detail="AUTH with a mechanism that is not offered")
        if len(self.requests) >= self.room.settings.auth_max_requests:
            self.write(wire.fail_line(command.id, code=wire.TEMP_FAIL, reason=TOO_MANY))
            return
        command.parameters.more = self._more
        mechanism = MECHANISMS[command.mechanism]
        room = self.room
        surroundings = room.surroundings
        if mechanism.of_connection:
            surroundings = tls.surroundings_of(surroundings, room.mechanism_flags, command.parameters, self._minor)
        request = Request(self, command.id, mechanism, command.parameters, surroundings, self.loop.time())
        request.question = question
        self.requests[command.id] = request
        why = tls.refusal(room.settings, command.parameters) if room.checks_certificates else ""
        if why:
            self._failed(request, why, reason=why)
        elif command.bad_base64:
            self._failed(request, "Invalid base64 data in initial response", code=wire.INVALID_BASE64)
        elif command.initial is not None and len(command.initial) > room.settings.auth_max_response_octets:
            self._failed(request, TOO_LONG)
        elif self.room.penalties.by_address:
            self._start_later(request, command.initial)
        else:
            self._turn(request, request.conversation.start(command.initial))

    def _start_later(self, request: Request, initial: bytes | None) -> None:
        """Somebody's address has a penalty; if it is this one, the attempt waits before anything is looked at."""
        penalties, settings = self.room.penalties, self.room.settings
        request.address = penalty.address_of(request.parameters)
        request.level = penalties.level(request.address)
        if not request.level:
            self._turn(request, request.conversation.start(initial))
        elif not penalties.wait(request.address, settings.auth_penalty_max_waiting, settings.auth_max_requests // 2):
            del self.requests[request.id]
            self.write(wire.fail_line(request.id, code=wire.TEMP_FAIL, reason=TOO_MANY))
        else:
            request.state = State.WAITING
            request.initial = initial
            request.timer = self.loop.call_later(secs_of(request.level), self._start, request)

    def _start(self, request: Request) -> None:
        """The penalty has been waited for."""
        request.unschedule()
        request.since = self.loop.time()
        del self.requests[request.id]
        self.requests[request.id] = request  # keeps the oldest first
        initial, request.initial = request.initial, None
        self._turn(request, request.conversation.start(initial))

    def _continue(self, arguments: list[bytes]) -> None:
        if len(arguments) < 2:
            raise Malformed("CONT misses arguments.", detail="CONT misses arguments")
        request_id = wire.parse_id(arguments[0])
        request = self.requests.get(request_id)
        if request is None:
            self.write(wire.fail_line(request_id, reason=TIMED_OUT))
            return
        if request.state is not State.CLIENTS_TURN:
            self._end(request)
            self.write(wire.fail_line(request_id, reason=UNEXPECTED))
            return
        request.since = self.loop.time()
        self.requests[request_id] = self.requests.pop(request_id)  # keeps the oldest first
        bind, request.bind = request.bind, None
        if bind is not None:
            found = wire.decode_base64(auth_binding.binding_field(arguments[2:]) or b"")
            self._turn(request, bind.then(found))
            return
        data = wire.decode_base64(arguments[1])
        if data is None:
            self._failed(request, "Invalid base64 data in continued response", code=wire.INVALID_BASE64)
        elif len(data) > self.room.settings.auth_max_response_octets:
            self._failed(request, TOO_LONG)
        elif request.rejected is not None:
            self.conclude(request, request.rejected)
        elif request.proved is not None:
            if data:
                self._failed(request, "The answer to the server's last words is not empty")
            else:
                self._succeed(request, request.proved)
        else:
            self._turn(request, request.conversation.step(data))

    def _cancel(self, arguments: list[bytes]) -> None:
        request_id = wire.parse_id(arguments[0] if arguments else b"")
        request = self.requests.get(request_id)
        if request is not None:
            self._end(request)
        if self._minor >= wire.MINOR_CANCELLED:
            self.write(b"CANCELLED\t%d\n" % request_id)

    # --- requests ---

    def _turn(self, request: Request, turn: Turn) -> None:
        """Do what the mechanism says."""
        if isinstance(turn, Challenge):
            self.challenge(request, turn.data)
        elif isinstance(turn, Broken):
            self._failed(request, turn.detail)
        elif isinstance(turn, Rejected):
            self.reject(request, turn, Verdict(False))
        elif isinstance(turn, Bind):
            request.bind = turn
            request.state = State.CLIENTS_TURN
            self.write(auth_binding.ask_binding_line(request.id, turn.kind))
        else:
            request.state = State.WORKING
            task = run_inline(self.loop, request.decide(turn))
            if task is not None:
                request.task = task
                self.room.adopt(task)

    def challenge(self, request: Request, data: bytes) -> None:
        """It is the client's turn. Nothing happens for a request that has ended."""
        if self.requests.get(request.id) is request:
            request.task = None
            request.state = State.CLIENTS_TURN
            self.write(wire.continue_line(request.id, data))

    def reject(self, request: Request, rejected: Rejected, verdict: Verdict) -> None:
        """A failure whose reason the client must be told first: after whatever it answers, ``verdict``."""
        self._log_failure(request, rejected.detail)
        request.rejected = verdict
        self.challenge(request, rejected.data)

    def _failed(self, request: Request, text: str, *, code: str = "", reason: str = "") -> None:
        """The client's message was broken: a failure like any other, later."""
        self._log_failure(request, text)
        self.conclude(request, Verdict(False, code=code, reason=reason))

    def _log_failure(self, request: Request, text: str) -> None:
        self.room.core.journal("", request.mechanism.name.lower(), request.parameters).failed("", text)

    def conclude(self, request: Request, verdict: Verdict) -> None:
        """Answer now, or hold the answer back. Nothing happens for a request that has ended."""
        if self.requests.get(request.id) is not request:
            return
        request.task = None
        if verdict.delay_until:
            wait_secs, verdict.delay_until = verdict.delay_until - time.time(), 0.0
            if wait_secs > 0:
                self.room.hold_until(request, verdict, wait_secs)
                return
        if verdict.ok:
            if verdict.final and not request.parameters.bare(wire.FINAL_RESPONSE_PARAMETER):
                request.proved = verdict
                self.challenge(request, verdict.final)
            else:
                self._succeed(request, verdict)
            return
        request.state = State.HELD
        request.answer = wire.fail_line(request.id, user=verdict.user, code=verdict.code, reason=verdict.reason)
        if not (verdict.nodelay or verdict.internal):
            address = request.address or penalty.address_of(request.parameters)
            self.room.penalties.failed(address, request.level, request.guess)
        if verdict.nodelay:
            request.release()
        elif verdict.internal:
            self.room.hold_internal(request)
        else:
            self.room.failures.hold(request)

    def _succeed(self, request: Request, verdict: Verdict) -> None:
        del self.requests[request.id]
        if request.level:
            self.room.penalties.succeeded(request.address)
        fields = wire.fields_octets(verdict.fields) if verdict.fields else b""
        if verdict.userdb is not None:
            fields += wire.fields_octets({f"userdb_{key}": value for key, value in verdict.userdb.items()})
        elif self.login:
            self._keep(request, verdict)
        if verdict.final and request.proved is None:
            fields += b"\tresp=" + wire.encode_base64(verdict.final)
        line = wire.ok_line(request.id, verdict.user, fields)
        if request.question is not None:
            request.question.answered(verdict, line[line.index(b"\t", 3) :])
        self.write(line)

    def _keep(self, request: Request, verdict: Verdict) -> None:
        """A login process may ask for the user by REQUEST soon."""
        while len(self.successes) >= self.room.settings.auth_max_requests:
            del self.successes[next(iter(self.successes))]
        self.successes.pop(request.id, None)
        original = verdict.fields.get("original_user") or ""
        name = request.mechanism.name
        self.successes[request.id] = Success(
            verdict.user,
            original,
            name,
            request.parameters,
            self.loop.time(),
            verdict.passdb_fields,
            verdict.master_user,
            "anonymous" in verdict.fields,
        )

    def take_success(self, request_id: int, cookie: str) -> Success | None:
        """The success REQUEST names, once. None when cookie or id are wrong."""
        if not hmac.compare_digest(cookie.encode("utf-8", "replace"), self.cookie.hex().encode()):
            return None
        return self.successes.pop(request_id, None)

    def _end(self, request: Request) -> None:
        """Forget a request without an answer."""
        self.requests.pop(request.id, None)
        request.unschedule()
        if request.task is not None:
            request.task.cancel()
            request.task = None

    def expire(self, before: float) -> None:
        """End what made no progress since ``before`` (the room's clock calls this)."""
        for request in list(self.requests.values()):
            if request.since >= before:
                break
            if request.state in (State.HELD, State.WAITING):
                continue
            working = request.state is State.WORKING
            self._end(request)
            if working:
                self.log.error(f"Authentication request {self.cpid}.{request.id} timed out while being looked up")
                self.write(wire.fail_line(request.id, code=wire.TEMP_FAIL))
        for request_id, success in list(self.successes.items()):
            if success.since >= before:
                break
            del self.successes[request_id]
