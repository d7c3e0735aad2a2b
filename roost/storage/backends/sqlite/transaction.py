"""A write transaction: what both writers, the inline one for flags and the thread for the rest, do their work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from roost.errors import NoSuchMailbox
from roost.storage.api import Kind as Hint
from roost.storage.api import Update
from roost.storage.journal import Entry, Kind
from roost.util.ranges import EMPTY, Ranges

HINTS = {
    Kind.APPEND: Hint.NEW,
    Kind.ADD: Hint.FLAGS,
    Kind.REMOVE: Hint.FLAGS,
    Kind.SET: Hint.FLAGS,
    Kind.EXPUNGE: Hint.EXPUNGE,
    Kind.KEYWORDS: Hint.FLAGS,
    Kind.CREATE: Hint.MAILBOX_LIST,
    Kind.DELETE: Hint.MAILBOX_LIST,
    Kind.RENAME: Hint.MAILBOX_LIST,
    Kind.RESET: Hint.MAILBOX_LIST,
    Kind.SUBSCRIPTION: Hint.SUBSCRIPTION,
}

LOG = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"
LAST_MODSEQ = "SELECT max(modseq) FROM journal"
TAIL_OF_MAILBOX = "SELECT modseq, kind, uids, data FROM journal WHERE modseq > ? AND mailbox = ? ORDER BY modseq"


class Transaction:
    """Lives from BEGIN IMMEDIATE to COMMIT or ROLLBACK; ``hints`` are to be published after the commit.

    ``entries`` are (mailbox, entry) of what was logged. ``boxes``: UIDNEXT, UIDVALIDITY and keywords of mailboxes where
    they are known for sure; whoever changes them otherwise than by an append empties it (the writer does).
    """

    __slots__ = ("boxes", "entries", "execute", "executemany", "hints", "modseq", "now", "username")

    def __init__(self, connection: apsw.Connection, username: str, now: int, modseq: int | None = None) -> None:
        """``modseq`` None: read the last one given out."""
        self.execute: Callable[..., Any] = connection.execute
        self.executemany: Callable[..., Any] = connection.executemany
        self.username = username
        self.now = now
        self.hints: list[Update] = []
        self.entries: list[tuple[int, Entry]] = []
        self.boxes: dict[int, tuple[int, int, str]] = {}
        if modseq is None:
            modseq = self.value(LAST_MODSEQ) or 0
        self.modseq: int = modseq

    def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.execute(sql, args).fetchone()
        return row[0] if row else None

    def log(self, mailbox: int, kind: Kind, uids: Ranges = EMPTY, data: bytes | None = None) -> int:
        """Write a journal row; its modseq."""
        self.execute(LOG, self.note(mailbox, kind, uids, data))
        return self.modseq

    def note(self, mailbox: int, kind: Kind, uids: Ranges = EMPTY, data: bytes | None = None) -> tuple[object, ...]:
        """The next journal row, for the caller to write."""
        self.modseq += 1
        self.entries.append((mailbox, Entry(self.modseq, kind, uids, data or b"")))
        box = "" if kind is Kind.SUBSCRIPTION else mailbox_id(mailbox)
        self.hints.append(Update(self.username, box, self.modseq, HINTS[kind]))
        return (self.modseq, mailbox, int(kind), self.now, uids_to_row(uids), data)

    def tail(self, mailbox: int, after: int) -> list[Entry]:
        """The journal of one mailbox after a modseq."""
        return [
            entry_of(modseq, kind, uids, data)
            for modseq, kind, uids, data in self.execute(TAIL_OF_MAILBOX, (after, mailbox))
        ]

    def require(self, mailbox: int, columns: str) -> tuple[Any, ...]:
        """Columns of the mailbox's row. Raises NoSuchMailbox."""
        row = self.execute(f"SELECT {columns} FROM mailbox WHERE id = ? AND selectable", (mailbox,)).fetchone()
        if row is None:
            raise NoSuchMailbox("Mailbox doesn't exist any more")
        return tuple(row)

    def next_uidvalidity(self) -> int:
        """Greater than every one before, and the time when possible."""
        last = self.value("SELECT value FROM meta WHERE key = 'uidvalidity'") or 0
        fresh = max(int(last) + 1, self.now)
        self.execute("INSERT OR REPLACE INTO meta VALUES ('uidvalidity', ?)", (fresh,))
        return fresh


def uids_to_row(uids: Ranges) -> int | str | None:
    """One UID as a number, a set as its text."""
    pairs = uids.pairs
    if not pairs:
        return None
    if len(pairs) == 1 and pairs[0][0] == pairs[0][1]:
        return pairs[0][0]
    return uids.format().decode()


def uids_of_row(uids: int | str | None) -> Ranges:
    if uids is None:
        return EMPTY
    if isinstance(uids, int):
        return Ranges.span(uids, uids)
    return Ranges.parse(uids.encode())


KINDS: list[Kind | None] = [None, *Kind]


def entry_of(modseq: int, kind: int, uids: int | str | None, data: bytes | None) -> Entry:
    """A journal row as an entry. Raises IndexError, ValueError for one that is damaged."""
    known = KINDS[kind]
    if known is None:
        raise ValueError(f"journal row {modseq} of kind {kind}")
    return Entry(modseq, known, uids_of_row(uids), data or b"")


def mailbox_id(number: int) -> str:
    """The mailbox's public id (MAILBOXID, hints)."""
    return f"m{number:x}"
