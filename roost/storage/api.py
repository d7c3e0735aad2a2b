"""The storage boundary: what a mail store promises, in the shape of go-imap's backend interface.

``Backend → User → Mailbox``, plus ``Updater`` for hints. Everything above this file (the IMAP and LMTP rooms)
speaks only to these protocols; nothing above it knows a file format. A store that obeys the promises written
here passes ``roost.testing.backend`` and serves every command of the IMAP room.

What differs from go-imap v1, and why (``docs/decisions/``):

* UIDs only. Sequence numbers live in one place, the IMAP room's view of a selected mailbox.
* Hints and facts are apart. An ``Update`` only says "look"; ``Mailbox.poll`` says what changed, from a cursor, so a
  lost, repeated or reordered hint harms nothing.
* Messages travel in batches of parallel columns (``MessageBatch``), not as an object each: a client that asks the
  flags of 100,000 messages costs a few slices.
* No call waits for a client, and none keeps a lock or a transaction while it is suspended.
* Every changing call is atomic, and durable when it returns (flags: see ``update_messages_flags``); cancelled
  before that, it happened wholly or not at all, and nothing half done, locked or temporary stays behind.

Units: dates are UTC seconds since 1970 (``int``), sizes octets, UIDs 1 … 2**32-1, modseq 1 … 2**63-1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from roost.imap.search_keys import Criteria
from roost.storage.upload import Upload
from roost.storage.values import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    KEYWORD_SHIFT,
    MAX_KEYWORDS,
    SEEN,
    SYSTEM_FLAGS,
    SYSTEM_MASK,
    AppendResult,
    Body,
    Changes,
    ConnInfo,
    CopyResult,
    ExpungeResult,
    Features,
    FetchRequest,
    Flags,
    FlagsOp,
    Identity,
    Items,
    Kind,
    MailboxInfo,
    MailboxState,
    MailboxStatus,
    MessageBatch,
    NewMessage,
    SearchResult,
    Snapshot,
    StoreResult,
    Update,
)
from roost.util.ranges import Ranges

__all__ = [
    "ANSWERED",
    "DELETED",
    "DRAFT",
    "FLAGGED",
    "KEYWORD_SHIFT",
    "MAX_KEYWORDS",
    "SEEN",
    "SYSTEM_FLAGS",
    "SYSTEM_MASK",
    "AppendResult",
    "Backend",
    "BackendContext",
    "BackendFactory",
    "Body",
    "Changes",
    "ConnInfo",
    "CopyResult",
    "ExpungeResult",
    "Features",
    "FetchRequest",
    "Flags",
    "FlagsOp",
    "Identity",
    "Items",
    "Kind",
    "Mailbox",
    "MailboxInfo",
    "MailboxState",
    "MailboxStatus",
    "MessageBatch",
    "NewMessage",
    "SearchResult",
    "Snapshot",
    "StoreResult",
    "Update",
    "Updater",
    "User",
]


class Mailbox(Protocol):
    """A cheap handle to one mailbox; valid until ``aclose``. Many handles to one mailbox may exist at once."""

    @property
    def id(self) -> str:
        """Survives rename (RFC 8474)."""
        ...

    @property
    def name(self) -> str:
        """As it is now: a rename by any session changes it."""
        ...

    async def info(self) -> MailboxInfo: ...

    async def status(self) -> MailboxStatus: ...

    async def check(self) -> None:
        """Housekeeping (CHECK); may do nothing."""
        ...

    async def select(self, *, read_only: bool, claim_recent: bool) -> Snapshot:
        """Begin a view. ``claim_recent`` takes the unclaimed \\Recent for this view; EXAMINE shows but never takes."""
        ...

    async def poll(self, cursor: int, *, claim_recent: bool, own: Collection[int] = ()) -> Changes:
        """Everything since ``cursor``, as one consistent cut. Changes logged under a modseq in ``own`` are left out
        (unless somebody else changed the same message too). Cheap when nothing happened."""
        ...

    def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]:
        """FETCH: ascending, missing UIDs skipped, no flag changed. May be closed at any point."""
        ...

    async def search_messages(self, criteria: Criteria, within: Ranges | None = None) -> SearchResult:
        """SEARCH, with sets in the criteria given as UIDs; only messages in ``within`` when given."""
        ...

    async def create_messages(self, messages: Sequence[NewMessage]) -> AppendResult:
        """APPEND, MULTIAPPEND and delivery: all or none, durable on return, UIDs ascending in the order given."""
        ...

    async def update_messages_flags(
        self, uids: Ranges, op: FlagsOp, flags: Flags, *, unchanged_since: int | None = None
    ) -> StoreResult:
        """STORE: add and remove are atomic against other sessions, and so is the check of ``unchanged_since``.
        Survives a killed process at once; survives a power cut after the next durable change."""
        ...

    async def copy_messages(self, uids: Ranges, dest: str) -> CopyResult:
        """COPY: all or nothing; keeps flags, keywords, internal date. Raises NoSuchMailbox, never creates."""
        ...

    async def move_messages(self, uids: Ranges, dest: str) -> CopyResult:
        """MOVE: at no moment is a message in neither mailbox."""
        ...

    async def expunge(self, uids: Ranges | None = None) -> ExpungeResult:
        """Remove messages with \\Deleted, only those in ``uids`` when given (UID EXPUNGE)."""
        ...

    async def rest(self) -> None:
        """The client will ask nothing for a while (IDLE): let go of what is dear to hold. Every call works as before,
        and ``poll`` still goes on from its cursor. May do nothing."""
        ...

    async def aclose(self) -> None: ...


class User(Protocol):
    """One user's session with the store."""

    username: str
    append_limit: int | None  # octets; None = no limit

    async def list_mailboxes(self, *, subscribed: bool = False) -> Sequence[MailboxInfo]:
        """All mailboxes sorted by name, INBOX first; or the subscribed names (those without a mailbox carry
        \\NonExistent). The first call for a new user makes INBOX and the special-use mailboxes."""
        ...

    async def get_mailbox(self, name: str) -> Mailbox:
        """Raises NoSuchMailbox, also for a \\Noselect name."""
        ...

    async def create_mailbox(self, name: str, *, special_use: Collection[str] = ()) -> MailboxInfo:
        """Makes missing parents too. A deleted name made again gets a greater UIDVALIDITY.
        Raises MailboxAlreadyExists, InvalidName, LimitExceeded."""
        ...

    async def delete_mailbox(self, name: str) -> None:
        """Children stay; a mailbox with children becomes \\Noselect. Raises NoSuchMailbox; Refused for INBOX."""
        ...

    async def rename_mailbox(self, existing: str, new: str) -> None:
        """Children move along, the target's missing parents are made. INBOX: its messages move, INBOX stays, empty,
        and its children are untouched. Raises NoSuchMailbox, MailboxAlreadyExists, InvalidName."""
        ...

    async def set_subscribed(self, name: str, subscribed: bool) -> None:
        """Subscriptions are by name and outlive their mailbox."""
        ...

    def new_upload(self, size_octets: int) -> Upload:
        """A place to put a message while it arrives; refuses above ``append_limit`` with TooBig."""
        ...

    async def logout(self) -> None: ...


class Backend(Protocol):
    """A mail store. One per process; ``start`` before use, ``aclose`` at the end."""

    features: Features

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def open_user(self, conn: ConnInfo, identity: Identity) -> User:
        """Never blocks on the disk: the store is opened at the first call that needs it.
        Raises Unavailable, PermissionDenied, Corrupt."""
        ...


class Updater(Protocol):
    """Optional, on a Backend whose store changes behind the server's back: a stream of hints."""

    def updates(self) -> AsyncIterator[Update]: ...


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a backend factory is given: ``factory(context) -> Backend`` (entry point group ``roost.backends``).

    ``settings`` are the mail settings by name (``roost/settings/schema/mail.py``). ``publish`` must be called after
    every commit with a hint; it never blocks and may be called from any thread. ``log(level, text)``, level one of
    "debug", "info", "warning", "error".
    """

    settings: Mapping[str, object]
    publish: Callable[[Update], None]
    log: Callable[[str, str], None]


BackendFactory = Callable[[BackendContext], Backend]
