"""What a SASL mechanism is: its row in the table, its conversation, and the turns a conversation can take.

The caller drives it: ``start`` with the initial response (None if the client sent none), then ``step`` with each
response, and does what the returned turn says. A conversation that returned ``Verify`` or ``Broken`` is over; it is
never stepped again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from roost.util.secret import Secret


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send these octets and wait for a response."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Verify:
    """Check this password. ``authzid`` is empty unless the client asks to act as somebody else.

    Names are the client's octets as they came; nothing about them is checked yet, not even that they are UTF-8.
    """

    authcid: bytes
    password: Secret
    authzid: bytes = b""


@dataclass(frozen=True, slots=True)
class Broken:
    """The client broke the mechanism's form. ``detail`` is for the log and never repeats what the client sent."""

    detail: str


Turn = Challenge | Verify | Broken


class Conversation(Protocol):
    """One run of a mechanism."""

    def start(self, initial: bytes | None) -> Turn: ...

    def step(self, response: bytes) -> Turn: ...


@dataclass(frozen=True)
class Mechanism:
    """A row of MECHANISMS."""

    name: str  # as clients write it, upper case
    flags: frozenset[str]  # of ``roost.ipc.auth.MECHANISM_FLAGS``: what the MECH line shows
    begin: Callable[[], Conversation]
