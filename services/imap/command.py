"""What an IMAP command is: one row of ``commands.COMMANDS``. PURE.

Each command file reads in the order decode, check, act, write: ``parse`` turns octets into values, ``run`` does the
work and returns the text of the tagged OK (or None for the row's own ``done``). Failures are raised; ``dispatch`` turns
them into NO and BAD.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from roost.imap.args import Args
from services.imap.session import Session

T = TypeVar("T")


class State:
    """When a command is legal: bits, as plain integers because every command tests them."""

    NOT_AUTHENTICATED: Final = 1
    AUTHENTICATED: Final = 2
    SELECTED: Final = 4
    LOGGED_IN: Final = AUTHENTICATED | SELECTED
    ANY: Final = NOT_AUTHENTICATED | LOGGED_IN


class Sync(enum.Enum):
    """What the client is told of other sessions' doings before the tagged reply, when a mailbox is selected."""

    NOTHING = "nothing"  # SELECT, CLOSE, LOGOUT …: the view begins or ends
    KEEP = "keep"  # everything but EXPUNGE (RFC 9051 §7.5.1)
    ALL = "all"
    ASKED = "asked"  # ALL, and the client asks for it: NOOP, CHECK (see delay-newmail)


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """``parse`` None: the command takes no arguments. ``upload``: where its big literals go (APPEND)."""

    name: bytes
    states: int
    parse: Callable[[Args], T] | None
    run: Callable[[Session, T], Awaitable[bytes | None]]
    done: bytes
    sync: Sync = Sync.ALL
    try_create: bool = False  # a missing mailbox answers [TRYCREATE] (RFC 9051 §7.1)
    by_uid: bool = False  # the UID form: FETCH replies that follow carry UID
    after: Callable[[Session], None] | None = None  # once the tagged reply is written
    upload: Callable[[Session, Args, int], Awaitable[object]] | None = None
