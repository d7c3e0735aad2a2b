"""What a dictionary is: keys, values, flags of an iteration, changes of a transaction, how a commit ended; and what
a driver must do.

A driver is behind ``roost.dict.front.Dict``, which checks keys and limits, collects the changes of a transaction and
sorts; so a driver sees only well-formed keys and every driver behaves the same in these respects. Rules for a driver:

* A key and a user's name are data: whatever octets they have, they must not become a path, a command or a query.
* ``apply`` does all changes or none, and returns OK only when they will survive a power cut (memory excepted).
* ``atomic_inc`` by several processes at once loses nothing. An absent key is NOTFOUND, and nothing is done.
* What may or may not have happened (a peer that went away after COMMIT was sent) is UNCERTAIN, never FAILED.
* "I cannot say" of ``lookup`` and ``rows`` is ``Unavailable``, never None.
* No method blocks the loop.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from roost.errors import Unavailable
from roost.settings.schema.dict import DictSettings

Values = tuple[bytes, ...]
INTEGER_LOW, INTEGER_HIGH = -(1 << 63), (1 << 63) - 1


class Flags(enum.IntFlag):
    """Of an iteration; the numbers are Dovecot's."""

    NONE = 0
    RECURSE = 1  # also what is below further slashes
    SORT_BY_KEY = 2
    SORT_BY_VALUE = 4
    NO_VALUE = 8  # keys only: the values are empty
    EXACT_KEY = 16  # only the path itself
    ASYNC = 32  # accepted: every iteration is


class Kind(enum.Enum):
    SET = "set"
    UNSET = "unset"
    INC = "inc"


class Outcome(enum.Enum):
    """How a commit ended."""

    OK = "ok"
    NOTFOUND = "notfound"  # atomic_inc of an absent key; nothing was changed
    FAILED = "failed"  # nothing was changed
    UNCERTAIN = "uncertain"  # it may have been changed


class CommitResult(NamedTuple):
    """``reason``: what went wrong, "" after OK."""

    outcome: Outcome
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK


COMMITTED = CommitResult(Outcome.OK)


class Key(NamedTuple):
    """A key without its first part. ``user``: whose it is; "" = shared."""

    user: str
    path: str

    @property
    def octets(self) -> bytes:
        return self.path.encode("utf-8", "surrogateescape")

    @property
    def user_octets(self) -> bytes:
        return self.user.encode("utf-8", "surrogateescape")

    @property
    def full(self) -> str:
        """As callers write it."""
        return ("priv/" if self.user else "shared/") + self.path


class Change(NamedTuple):
    """One step. ``value`` of SET, ``diff`` of INC."""

    kind: Kind
    key: Key
    value: bytes = b""
    diff: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A transaction as a driver gets it. ``user``: who it was begun for, also when all keys are shared (a path may
    depend on it). ``expire_secs`` 0 = for ever. ``timestamp_ns``: when the caller says it was written; for databases
    that solve conflicts by time, which the shipped ones do not."""

    changes: Sequence[Change]
    user: str = ""
    expire_secs: int = 0
    timestamp_ns: int = 0


class Driver(Protocol):
    """What a driver implements. ``user`` is whom the caller acts for, which shared keys may have too."""

    loop_bound: bool
    """Whether it works on the event loop of its first call only (connections); another loop gets one of its own."""

    async def lookup(self, key: Key, user: str) -> Values | None:
        """The values, at least one; None: the key is absent or expired. Raises Unavailable."""
        ...

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        """At most ``limit`` pairs for which ``keys.selected`` holds, in any order. Raises Unavailable."""
        ...

    async def apply(self, batch: Batch) -> CommitResult:
        """Do all changes in their order, or none. Raises nothing of RoostError."""
        ...

    async def close(self) -> None: ...


async def _no_home(user: str) -> str:
    raise Unavailable("This dict needs the user's home directory, which is not known here")


@dataclass(frozen=True)
class Surroundings:
    """What a driver may use beside its settings."""

    clock: Callable[[], float] = time.time  # unix time, for expiry
    home: Callable[[str], Awaitable[str]] = _no_home  # the home directory of a user, for paths with %{home}
    base_dir: str = ""  # what relative socket paths are relative to


Factory = Callable[[DictSettings, Surroundings], Driver]


def increased(value: bytes, diff: int) -> bytes | None:
    """The decimal number plus ``diff``; None when it is no number or leaves 64 bits."""
    text = value.strip()
    if len(text) > 20 or not text.lstrip(b"-+").isdigit():
        return None
    try:
        total = int(text) + diff
    except ValueError:
        return None
    return b"%d" % total if INTEGER_LOW <= total <= INTEGER_HIGH else None
