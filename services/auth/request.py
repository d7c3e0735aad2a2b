"""The life of one authentication: the mechanism's conversation, the decision, the answer held back."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roost.ipc import auth as wire
from roost.sasl.base import Conversation, Mechanism, Verify
from services.auth.core import Verdict

if TYPE_CHECKING:
    from services.auth.client import ClientConnection


class State(enum.Enum):
    """Who has to do something."""

    CLIENTS_TURN = "a challenge is out"
    WORKING = "databases are asked"
    HELD = "the failure waits in the queue"


@dataclass(frozen=True, slots=True)
class Success:
    """What REQUEST needs of a login that has succeeded."""

    user: str
    original_user: str
    mechanism: str
    parameters: wire.Parameters
    since: float


class Request:
    """One AUTH until its OK or FAIL."""

    __slots__ = (
        "answer",
        "connection",
        "conversation",
        "id",
        "mechanism",
        "parameters",
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
        now: float,
    ) -> None:
        self.connection = connection
        self.id = request_id
        self.mechanism = mechanism
        self.parameters = parameters
        self.conversation: Conversation = mechanism.begin()
        self.state = State.WORKING
        self.since = now
        self.answer = b""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    async def decide(self, verify: Verify) -> None:
        """Ask the databases and conclude. Never raises, except when cancelled."""
        connection = self.connection
        core = connection.room.core
        mechanism = self.mechanism.name.lower()
        try:
            verdict = await core.authenticate(
                verify,
                mechanism,
                self.parameters,
                key=connection.key,
                with_userdb=connection.login and self.parameters.bare(wire.USERDB_PARAMETER),
            )
        except Exception:
            core.journal("", mechanism, self.parameters).exception("Authentication failed by an internal error")
            verdict = Verdict(False, code=wire.TEMP_FAIL, internal=True)
        connection.conclude(self, verdict)

    def release(self) -> None:
        """The delay is over: answer."""
        connection = self.connection
        self.unschedule()
        if connection.requests.get(self.id) is self:
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
