"""What a SASL mechanism is: its row in the table, its conversation, and the turns a conversation can take.

The caller drives it: ``start`` with the initial response (None if the client sent none), then ``step`` with each
response, and does what the returned turn says. After ``Lookup`` it calls the turn's ``then``, whatever the databases
said, and does what that returns; so with ``Bind``, when the other end of the TLS connection has answered. A
conversation that returned any turn but ``Challenge`` is not stepped again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
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
class Lookup:
    """Find what is stored about this user in the form of ``scheme``, and give it to ``then``: the next turn.

    There is always something to give: for a user that does not exist, something that looks like it. So the
    conversation goes on alike, and it is the caller who knows that its ``Proved`` would count for nothing.
    """

    authcid: bytes
    scheme: str
    then: Callable[[bytes], Turn] = field(repr=False)
    authzid: bytes = b""
    hashed_as: bytes = b""  # DIGEST-MD5: ``user:realm:`` as the client hashes them before a password in plain


@dataclass(frozen=True, slots=True)
class Bind:
    """Get the data of the TLS connection (channel binding, RFC 5056) of this ``kind``, and give it to ``then``.

    None when there is none. ``kind`` is one of ``Surroundings.bindings``.
    """

    kind: str
    then: Callable[[bytes | None], Turn] = field(repr=False)


@dataclass(frozen=True, slots=True)
class External:
    """TLS has proved by a certificate who the client is. ``authzid``: empty, or whom it wants to act for."""

    authzid: bytes = b""


class TokenFailure(enum.Enum):
    """Why a token will not do."""

    INVALID_REQUEST = "invalid_request"
    INVALID_TOKEN = "invalid_token"
    INSUFFICIENT_SCOPE = "insufficient_scope"


@dataclass(frozen=True, slots=True)
class Token:
    """Check this access token of the user ``authcid``. If it will not do, ``failed`` tells what to say."""

    authcid: bytes
    token: Secret
    failed: Callable[[TokenFailure], Rejected] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Send these octets, take one response whatever it is, then refuse. ``detail`` is for the log."""

    data: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The client knows the password that ``Lookup`` was about. ``data``: what the server still has to say, if any."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Refuted:
    """The client does not know it."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Let somebody in who does not say who. ``trace``: what the client says of itself, printable or empty."""

    trace: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The client broke the mechanism's form. ``detail`` is for the log and never repeats what the client sent."""

    detail: str


Turn = Challenge | Verify | Lookup | Bind | External | Token | Rejected | Proved | Refuted | Anonymous | Broken


class Conversation(Protocol):
    """One run of a mechanism."""

    def start(self, initial: bytes | None) -> Turn: ...

    def step(self, response: bytes) -> Turn: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a conversation may need of the world: n unpredictable octets, seconds since 1970, this host's name.

    ``bindings`` and ``plus`` belong to the client's connection: the kinds of channel binding it can give, and the
    ``-PLUS`` mechanisms that were shown on it. ``realms`` are DIGEST-MD5's; ``scope`` and ``openid_configuration`` are
    told to clients whose token will not do.
    """

    entropy: Callable[[int], bytes]
    now: Callable[[], float]
    hostname: str
    bindings: frozenset[str] = frozenset()
    plus: frozenset[str] = frozenset()
    realms: tuple[str, ...] = ()
    scope: str = ""
    openid_configuration: str = ""


@dataclass(frozen=True)
class Mechanism:
    """A row of MECHANISMS."""

    name: str  # as clients write it, upper case
    flags: frozenset[str]  # of ``roost.ipc.auth.MECHANISM_FLAGS``: what the MECH line shows
    begin: Callable[[Surroundings], Conversation]
    of_connection: bool = False  # begin() looks at ``bindings`` and ``plus``
