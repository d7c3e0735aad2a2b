"""What goes through the storage boundary: flags, names of mailboxes, snapshots, changes, batches, results.

Values only; ``api.py``, which re-exports them, says who gives and takes them. Units: dates are UTC seconds since 1970
(``int``), sizes octets, UIDs 1 … 2**32-1, modseq 1 … 2**63-1.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from roost.storage.upload import Upload
from roost.util.ranges import Ranges

# Flags are bit masks. The low five bits are the system flags; bit KEYWORD_SHIFT + i is the i-th keyword of the
# mailbox (its position in Snapshot.keywords, which only ever grows at its end within one UIDVALIDITY).
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
SYSTEM_MASK = 31
KEYWORD_SHIFT = 5
MAX_KEYWORDS = 58  # masks fit an unsigned 63-bit column; one more answers LimitExceeded

SYSTEM_FLAGS: Mapping[str, int] = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}


class FlagsOp(enum.Enum):
    """How ``update_messages_flags`` combines the given flags with those there."""

    SET = "set"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags as a client names them: a mask of system flags, and keywords by name (any case, no duplicates)."""

    system: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnInfo:
    """Who is talking to us; for logs and access rules.

    ``bindings``: the kinds of channel binding that this connection can give; ``certificate``: what the auth service is
    told of the client's verified certificate (``roost/net/certificates.py`` makes both). ``trusted``: a proxy or web
    mail of ours, which speaks for many users: its failures are not held against its address.
    """

    service: str
    session_id: str = ""
    remote_ip: str = ""
    remote_port: int = 0
    local_ip: str = ""
    local_port: int = 0
    secured: bool = False
    bindings: tuple[str, ...] = ()
    certificate: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A user proved by the authentication service. ``home``: an absolute folder; ``fields``: the userdb's others.

    ``settings``: mail settings of this user alone, typed, by attribute of ``MailSettings``; they outdo the process's.
    """

    username: str
    home: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    def append_limit(self, limit_octets: int) -> int | None:
        """The largest message for this user, where ``limit_octets`` (0: none) holds for everybody. None: no limit."""
        own = self.settings.get("mail_max_message_octets")
        return (own if isinstance(own, int) else limit_octets) or None


@dataclass(frozen=True, slots=True)
class Features:
    """What a store can do beyond the base; the IMAP room advertises only what is true here."""

    condstore: bool = True
    move: bool = True
    special_use: bool = True


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """One row of LIST. ``attributes`` are LIST attributes without the computed ones (\\Subscribed, \\HasChildren …)."""

    name: str
    id: str
    separator: str = "/"
    attributes: frozenset[str] = frozenset()  # \Noselect, \NonExistent, \Noinferiors and special-use (\Sent …)
    subscribed: bool = False
    has_children: bool = False

    @property
    def selectable(self) -> bool:
        return not self.attributes & {"\\Noselect", "\\NonExistent"}


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """STATUS (RFC 9051 §6.3.11, 7162, 8438, 7889, 8474). Taking it changes nothing, not even who claims \\Recent."""

    messages: int
    recent: int
    uidnext: int
    uidvalidity: int
    unseen: int
    deleted: int
    highest_modseq: int
    size_octets: int
    append_limit: int | None
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox at the moment a view begins.

    ``uids`` ascends and is only to be read below index ``count``: the store may append to the same array later (it
    never changes or removes entries of an array it has handed out; after an expunge it makes a new one). Nobody may
    hold a memoryview of it while others run: an array with one cannot grow.
    ``cursor`` is opaque to the caller and is given to the next ``poll``.
    """

    uidvalidity: int
    uidnext: int
    highest_modseq: int
    uids: array[int]
    count: int
    first_unseen_uid: int | None
    keywords: tuple[str, ...]
    recent: Ranges  # UIDs this view shows as \Recent; claimed by it when select(claim_recent=True)
    read_only: bool
    cursor: int


class MailboxState(enum.Enum):
    """What became of the mailbox itself since the cursor."""

    OK = "ok"
    DELETED = "deleted"
    UIDVALIDITY_CHANGED = "uidvalidity_changed"
    TOO_OLD = "too_old"  # the change log no longer reaches back to the cursor: take a new Snapshot and compare


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that happened since a cursor; applied to the old view it gives exactly the mailbox at ``cursor``.

    ``changed_uids``, ``changed_flags``, ``changed_modseqs`` are parallel, ascending by uid, of messages that existed at
    the old cursor and still exist. ``new`` are UIDs above the old view that are still there; ``vanished`` were in it.
    ``uids``/``count`` as in Snapshot. ``keywords`` is the table that the masks refer to.
    """

    cursor: int
    state: MailboxState
    uids: array[int]
    count: int
    uidnext: int
    highest_modseq: int
    keywords: tuple[str, ...]
    new: Ranges
    recent: Ranges  # those of ``new`` that this view may show as \Recent
    vanished: Ranges
    changed_uids: Sequence[int]
    changed_flags: Sequence[int]
    changed_modseqs: Sequence[int]


class Items(enum.IntFlag):
    """Columns a FETCH wants (``MessageBatch`` names them alike)."""

    FLAGS = enum.auto()
    MODSEQ = enum.auto()
    INTERNAL_DATE = enum.auto()
    SAVE_DATE = enum.auto()
    SIZE = enum.auto()
    ENVELOPE = enum.auto()
    BODY = enum.auto()  # the short form, without extension data
    BODYSTRUCTURE = enum.auto()
    EMAIL_ID = enum.auto()
    CONTENT = enum.auto()  # the octets themselves, as ``Body`` handles


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What ``list_messages`` must bring. ``header_fields``: lower-case names whose raw fields are wanted, or None."""

    items: Items
    header_fields: tuple[bytes, ...] | None = None
    changed_since: int | None = None  # only messages with a higher modseq (RFC 7162)


class Body(Protocol):
    """The octets of one stored message, lines ended by CRLF as they go over the wire."""

    size_octets: int

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Octets ``start`` to ``stop`` (to the end when None). Raises Unavailable, Corrupt, MessagesGone."""
        ...


@dataclass(slots=True)
class MessageBatch:
    """Up to a few hundred messages as parallel columns, ascending by uid; a column not asked for is None.

    ``envelopes``, ``bodies`` and ``bodystructures`` are wire-ready octets (an ENVELOPE list with its parentheses).
    ``headers`` holds, for ``FetchRequest.header_fields``, the matching raw header fields of each message in message
    order, each ending in CRLF, without the empty line.
    """

    uids: Sequence[int]
    flags: Sequence[int] | None = None
    modseqs: Sequence[int] | None = None
    internal_dates: Sequence[int] | None = None
    save_dates: Sequence[int] | None = None
    sizes: Sequence[int] | None = None
    envelopes: Sequence[bytes] | None = None
    bodies: Sequence[bytes] | None = None
    bodystructures: Sequence[bytes] | None = None
    email_ids: Sequence[str] | None = None
    headers: Sequence[bytes] | None = None
    contents: Sequence[Body] | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message of an APPEND or a delivery. ``internal_date`` None means now."""

    upload: Upload
    flags: Flags = Flags()
    internal_date: int | None = None


@dataclass(frozen=True, slots=True)
class AppendResult:
    uidvalidity: int
    uids: Ranges
    modseq: int


class StoreResult(NamedTuple):
    """``changed_*`` are parallel, ascending: messages whose flags now differ from before, with their new state.

    ``modseq`` is the one number under which the whole change stands in the log (0 when nothing changed): a view passes
    it to ``poll`` as one of its own, so that it is not told twice. ``conflicts``: UNCHANGEDSINCE failed.

    ``cursors`` are the mailbox's right before and right after, with nothing in between but this change: a view that
    stands at the first may go on from the second without ``poll``. A store that cannot say it leaves None.
    """

    modseq: int
    changed_uids: Sequence[int]
    changed_flags: Sequence[int]
    conflicts: Ranges
    missing: Ranges
    keywords: tuple[str, ...]
    cursors: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """``source`` and ``dest`` have the same length and order: the n-th source uid became the n-th dest uid.

    ``modseq`` (0 when nothing was there): of a copy the number under which the target grew, of a move the one under
    which the source lost its messages, for a view of the source to pass to ``poll`` as its own.
    """

    uidvalidity: int
    source: Ranges
    dest: Ranges
    modseq: int


@dataclass(frozen=True, slots=True)
class ExpungeResult:
    vanished: Ranges
    modseq: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ascending UIDs; ``highest_modseq`` among them, or 0 when the program had no MODSEQ key."""

    uids: array[int]
    highest_modseq: int = 0


class Kind(enum.IntFlag):
    """What an Update is about."""

    NEW = 1
    FLAGS = 2
    EXPUNGE = 4
    MAILBOX_LIST = 8
    SUBSCRIPTION = 16


class Update(NamedTuple):
    """A hint: "mailbox X of user Y is now at modseq N". Empty ``mailbox_id``: every mailbox of the user."""

    username: str
    mailbox_id: str = ""
    modseq: int = 0
    kinds: Kind = Kind.NEW
