"""What a command of the LMTP room is, and what running one answers."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.lmtp.session import Session


class Then(enum.Enum):
    """What the connection does after the answer is written."""

    GO_ON = "next command"
    DATA = "the message follows, up to the lone dot"
    CHUNK = "this many octets follow; the answer comes after them"
    TLS = "the handshake follows"
    CLOSE = "the connection ends"


@dataclass(frozen=True, slots=True)
class Answer:
    """``wire`` may be several lines. ``size_octets`` and ``last`` belong to CHUNK; ``wire`` is then the refusal of that
    chunk, or empty when it is wanted."""

    wire: bytes
    then: Then = Then.GO_ON
    size_octets: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """``run(session, argument)``; ``argument`` is what follows the verb and one space. It raises RoostError, never
    formats an error. ``states``: where it is legal, ``State`` joined by ``|``; elsewhere the answer is 503 and
    ``otherwise``."""

    name: bytes
    states: int
    run: Callable[[Session, bytes], Awaitable[Answer]]
    otherwise: str = "Bad sequence of commands"
