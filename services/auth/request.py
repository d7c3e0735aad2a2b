"""The life of one authentication: the mechanism's conversation, the decision, the answer held back."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roost.auth.api import NO_FIELDS
from roost.ipc import auth as wire
from roost.sasl.base import (
    Anonymous,
    Bind,
    Broken,
    Challenge,
    Conversation,
    External,
    Lookup,
    Mechanism,
    Proved,
    Surroundings,
    Token,
    TokenFailure,
    Turn,
    Verify,
)
from roost.util.secret import Secret
from services.auth import tls
from services.auth.core import Candidate, Verdict
from services.auth.penalty import guess_of

if TYPE_CHECKING:
    from services.auth.client import ClientConnection
    from services.auth.short import Question


NO_NAME = "EXTERNAL needs a certificate that names the user, and auth_ssl_username_from_cert"


class State(enum.Enum):
    """Who has to do something."""

    CLIENTS_TURN = "a challenge is out"
    WORKING = "databases are asked"
    HELD = "the failure waits in the queue"
    WAITING = "its address has a penalty"


@dataclass(frozen=True, slots=True)
class Success:
    """What REQUEST needs of a login that has succeeded."""

    user: str
    original_user: str
    mechanism: str
    parameters: wire.Parameters
    since: float
    passdb_fields: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS, repr=False)
    master_user: str = ""
    anonymous: bool = False


class Request:
    """One AUTH until its OK or FAIL."""

    __slots__ = (
        "address",
        "answer",
        "bind",
        "candidate",
        "connection",
        "conversation",
        "delayed",
        "guess",
        "id",
        "initial",
        "level",
        "mechanism",
        "parameters",
        "proved",
        "question",
        "rejected",
        "since",
        "state",
        "task",
        "timer",
    )

    def __init__(
        self,
        connection: ClientConnection,
        request_id: int,
        mechanism: Mechanism,
        parameters: wire.Parameters,
        surroundings: Surroundings,
        now: float,
    ) -> None:
        self.connection = connection
        self.id = request_id
        self.mechanism = mechanism
        self.parameters = parameters
        self.conversation: Conversation = mechanism.begin(surroundings)
        self.state = State.WORKING
        self.since = now
        self.answer = b""
        self.address = ""  # whose penalty it waits for
        self.level = 0  # of that penalty
        self.guess = 0  # checksum of the password that was wrong
        self.initial: bytes | None = None  # while it waits
        self.candidate: Candidate | None = None  # whom the proof to come is about
        self.proved: Verdict | None = None  # a success whose last words the client has yet to take
        self.delayed: Verdict | None = None  # known, but not to be told before its time
        self.rejected: Verdict | None = None  # a failure whose reason the client has yet to take
        self.question: Question | None = None  # the short way wants to hear of a success
        self.bind: Bind | None = None  # the client itself is asked for channel binding data
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    async def decide(self, turn: Turn) -> None:
        """Ask the databases and conclude, or go on. Never raises, except when cancelled."""
        connection = self.connection
        core = connection.room.core
        mechanism = self.mechanism.name.lower()
        try:
            with_userdb = connection.login and self.parameters.bare(wire.USERDB_PARAMETER)
            if core.settings.auth_ssl_username_from_cert:
                turn = _as_certified(turn, tls.certified_name(self.parameters))
            if isinstance(turn, External):
                turn = Broken(NO_NAME)
            token = turn if isinstance(turn, Token) else None
            if token is not None:
                turn = Verify(token.authcid, token.token)
            if isinstance(turn, Verify):
                verdict = await core.authenticate(
                    turn,
                    mechanism,
                    self.parameters,
                    key=connection.key,
                    with_userdb=with_userdb,
                    login=connection.login,
                )
                if not verdict.ok:
                    self.guess = guess_of(turn.password.reveal(), turn.authcid)
                if token is not None and not verdict.ok and not verdict.internal:
                    connection.reject(self, token.failed(_why(verdict)), verdict)
                    return
            else:
                answer = await self._without_password(turn, mechanism, with_userdb)
                if isinstance(answer, Challenge):
                    connection.challenge(self, answer.data)
                    return
                verdict = answer
        except Exception:
            core.journal("", mechanism, self.parameters).exception("Authentication failed by an internal error")
            verdict = Verdict(False, code=wire.TEMP_FAIL, internal=True)
        connection.conclude(self, verdict)

    async def _without_password(self, turn: Turn, mechanism: str, with_userdb: bool) -> Verdict | Challenge:
        """The turns of mechanisms in which the client does not send the password."""
        core = self.connection.room.core
        if isinstance(turn, Lookup):
            candidate = self.candidate = await core.candidate(turn, mechanism, self.parameters, key=self.connection.key)
            if candidate.temporary:
                return Verdict(False, candidate.name, code=wire.TEMP_FAIL, internal=True)
            turn = turn.then(candidate.credentials)
        if isinstance(turn, Challenge):
            return turn
        if isinstance(turn, Broken) and self.candidate is None:
            core.journal("", mechanism, self.parameters).failed("", turn.detail)
            return Verdict(False)
        if isinstance(turn, Anonymous):
            return await core.anonymous(turn, mechanism, self.parameters, with_userdb=with_userdb)
        if self.candidate is None:
            raise RuntimeError("a mechanism proves somebody without a lookup")
        if isinstance(turn, Broken):
            self.candidate.journal.failed("", turn.detail)
        elif isinstance(turn, Proved):
            verdict = await core.admit(self.candidate, with_userdb=with_userdb, login=self.connection.login)
            verdict = await core.concluded(self.candidate, verdict)
            verdict.final = turn.data
            return verdict
        return await core.concluded(self.candidate, core.refuted(self.candidate))

    def release(self) -> None:
        """The delay is over: answer."""
        connection = self.connection
        self.unschedule()
        delayed, self.delayed = self.delayed, None
        if delayed is not None:
            connection.conclude(self, delayed)
        elif connection.requests.get(self.id) is self:
            del connection.requests[self.id]
            connection.write(self.answer)

    def unschedule(self) -> None:
        """Take it out of every queue."""
        room = self.connection.room
        room.failures.drop(self)
        room.internal.discard(self)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.state is State.WAITING:
            self.state = State.WORKING
            room.penalties.waited(self.address)


def _why(verdict: Verdict) -> TokenFailure:
    """What is wrong with a token."""
    try:
        return TokenFailure(verdict.token_failure)
    except ValueError:
        return TokenFailure.INVALID_TOKEN


def _as_certified(turn: Turn, name: str) -> Turn:
    """With ``auth_ssl_username_from_cert`` the certificate says who the client is, whatever else the client says.

    EXTERNAL asks the passdbs with an empty password, which only the field ``nopassword`` makes good.
    """
    authcid = name.encode("utf-8", "surrogateescape")
    if isinstance(turn, External) and authcid:
        turn = Verify(authcid, Secret(b""), turn.authzid)
    if isinstance(turn, Token):
        return replace(turn, authcid=authcid)
    if isinstance(turn, Verify | Lookup):
        return replace(turn, authcid=authcid, authzid=b"" if turn.authzid == authcid else turn.authzid)
    return turn
