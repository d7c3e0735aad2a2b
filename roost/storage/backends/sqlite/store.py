"""One user's store: the mailboxes in memory, kept up to date from the journal, and the ways to change them.

``refresh`` brings the memory up to date, ``begin_inline`` starts a small transaction without a wait for the disk,
``change`` a durable one that was planned on the columns. The database is opened when it is first needed and closed by
the backend when it is idle; only an empty shell stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from roost.errors import NoSuchMailbox, ReadOnly, Unavailable
from roost.storage.backends.sqlite import folding
from roost.storage.backends.sqlite.append import keep_cache_rows
from roost.storage.backends.sqlite.box import Box
from roost.storage.backends.sqlite.database import Database
from roost.storage.backends.sqlite.mailboxes import first_mailboxes
from roost.storage.backends.sqlite.transaction import LAST_MODSEQ, Transaction, entry_of, mailbox_id
from roost.storage.backends.sqlite.upkeep import Upkeep
from roost.storage.columns import Columns
from roost.storage.journal import Entry, Kind

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.backend import SqliteBackend

T = TypeVar("T")

TAIL = "SELECT modseq, mailbox, kind, uids, data FROM journal WHERE modseq > ? ORDER BY modseq LIMIT ?"
TAIL_ROWS = 5000  # further behind than this: drop the columns instead of reading the journal
BOXES = "SELECT id, name, selectable, uidvalidity, first_recent, special_use FROM mailbox"
TAIL_OF_BOX = (
    "SELECT modseq, kind, uids, data FROM journal WHERE modseq > ? AND modseq <= ? AND mailbox = ? ORDER BY modseq"
)

_STRUCTURE = frozenset({Kind.CREATE, Kind.DELETE, Kind.RENAME, Kind.RESET})


class Stale(Exception):
    """Somebody changed the mailbox between plan and lock."""


class Store(Database):
    """See the head of the file."""

    def __init__(self, backend: SqliteBackend, path: str, username: str) -> None:
        super().__init__(backend, path, username)
        self.boxes: dict[int, Box] = {}
        self.names: dict[str, Box] = {}
        self.upto = 0  # the journal is applied until here
        self.care = Upkeep(self)

    async def open(self) -> None:
        """Open the database, make it for a new user. Raises Unavailable, Corrupt, ReadOnly."""
        if self.open_database(self._opened):
            self.backend.opened(self)
        if not self.names:
            await self.submit(lambda tx: first_mailboxes(tx, self.backend.limits))
            self.refresh()
        self.ready = True

    def _opened(self) -> None:
        self.upto = self.rows(LAST_MODSEQ)[0][0] or 0
        self._load_boxes()

    def close(self) -> None:
        for box in self.boxes.values():
            self.backend.cache.remove(box)
        self.boxes.clear()
        self.names.clear()
        super().close()

    # -- reading ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Apply what was committed by anybody since the last time. 0.1 µs when nothing was."""
        assert self._watch is not None
        self.used = self.backend.ticks
        head = self._watch.head()
        if head != self._seen:
            self.guard(self._catch_up)
            self._seen = head

    def _catch_up(self) -> None:
        rows = self.rows(TAIL, (self.upto, TAIL_ROWS + 1))
        if not rows:
            return
        if len(rows) > TAIL_ROWS:
            for box in self.boxes.values():
                self.backend.cache.remove(box)
            self.upto = self.rows(LAST_MODSEQ)[0][0]
            self._load_boxes()
            return
        structure = False
        for modseq, mailbox, kind, uids, data in rows:
            structure = structure or kind in _STRUCTURE
            known = self.boxes.get(mailbox)
            if known is not None and known.columns is not None:
                entry = entry_of(modseq, kind, uids, data)
                known.columns.apply(entry)
                known.remember(entry)
        self.upto = rows[-1][0]
        if structure:
            self._load_boxes()

    def take_over(self, entries: list[tuple[int, Entry]]) -> bool:
        if any(entry.kind in _STRUCTURE for _, entry in entries):
            return False
        for mailbox, entry in entries:
            if entry.modseq <= self.upto:  # columns were read in between
                continue
            known = self.boxes.get(mailbox)
            if known is not None and known.columns is not None:
                known.columns.apply(entry)
                known.remember(entry)
            self.upto = entry.modseq
        return True

    def _load_boxes(self) -> None:
        old, self.boxes, self.names = self.boxes, {}, {}
        for number, name, selectable, uidvalidity, first_recent, special_use in self.rows(BOXES):
            box = old.pop(number, None) or Box(number, mailbox_id(number))
            box.name, box.selectable, box.uidvalidity = name, bool(selectable), uidvalidity
            box.first_recent, box.special_use = first_recent, special_use
            self.boxes[number] = self.names[name] = box
        for box in old.values():
            self.backend.cache.remove(box)

    def box(self, number: int) -> Box:
        """Raises NoSuchMailbox."""
        box = self.boxes.get(number)
        if box is None or not box.selectable:
            raise NoSuchMailbox("Mailbox doesn't exist any more")
        return box

    def columns(self, box: Box) -> Columns:
        """The mailbox's columns, read when they are not in memory."""
        if box.columns is None:
            self.guard(self._load_columns, box)
        self.backend.cache.touch(box)
        assert box.columns is not None
        return box.columns

    def _load_columns(self, box: Box) -> None:
        """One consistent read: the state of all of the store and of this mailbox."""
        connection = self.connection
        assert connection is not None
        outer = connection.in_transaction
        if not outer:
            connection.execute("BEGIN")
        try:
            self._catch_up()
            rows = self.rows("SELECT uidnext, keywords, folded FROM mailbox WHERE id = ?", (box.number,))
            uidnext, keywords, folded = rows[0] if rows else (1, "", 0)
            blob = self.rows("SELECT data FROM snapshot WHERE mailbox = ?", (box.number,))
            table = tuple(keywords.split())
            if not blob:
                columns = Columns(table, 1, box.number)
            else:
                try:
                    columns = folding.decode(blob[0][0], table, 1)
                except folding.DamagedSnapshot as exc:
                    self.backend.log(
                        "error", f"{self.path}: snapshot of mailbox {box.name!r} is damaged ({exc}): rebuilt"
                    )
                    columns, folded = self._rebuild(box, table), self.upto
            tail = self.rows(TAIL_OF_BOX, (folded, self.upto, box.number))
        finally:
            if not outer:
                connection.execute("COMMIT")
        for row in tail:
            columns.apply(entry_of(*row))
        columns.keywords = table
        columns.uidnext = max(columns.uidnext, uidnext)
        box.columns = columns
        box.since_fold = len(tail)
        box.entries_after = columns.modseq
        self.care.loaded(box, columns, folded)

    def _rebuild(self, box: Box, table: tuple[str, ...]) -> Columns:
        """Columns from the rows of messages, with what the journal still knows of flags."""
        columns = Columns(table, 1, box.number)
        for uid, flags in self.rows("SELECT uid, flags FROM message WHERE mailbox = ? ORDER BY uid", (box.number,)):
            columns.uids.append(uid)
            columns.flags.append(flags)
            columns.modseqs.append(box.number)
        for row in self.rows(TAIL_OF_BOX, (0, self.upto, box.number)):
            entry = entry_of(*row)
            if entry.kind is Kind.APPEND:
                rows = columns.rows(entry.uids)
                for start, stop in rows:
                    for at in range(start, stop):
                        columns.modseqs[at] = entry.modseq
                columns.modseq = entry.modseq
            else:
                columns.apply(entry)
        return columns

    # -- changing ---------------------------------------------------------------------------------------------------

    def begin_inline(self) -> Transaction | None:
        """The write lock, taken now without waiting, and the memory up to date; None when somebody else has it."""
        if not self.lock_inline():
            return None
        try:
            self.refresh()
        except BaseException:
            self.rollback()
            raise
        assert self.connection is not None
        return Transaction(self.connection, self.username, int(time.time()), self.upto)

    def applied(self, box: Box, entry: Entry) -> None:
        """``entry`` of the transaction just committed inline is in the columns now."""
        box.remember(entry)
        self.upto = entry.modseq

    async def change(self, box: Box, plan: Callable[[Columns], T | None], run: Callable[[Transaction, T], Any]) -> Any:
        """Plan on the columns, do it durably; None when the plan is None.

        When somebody changed the mailbox between plan and lock, it is planned again on the state under the lock.
        """
        self.refresh()
        columns = self.columns(box)
        made = plan(columns)
        if made is None:
            return None
        try:
            return await self.submit(_on_plan(box.number, self.upto, made, run))
        except Stale:
            if not self.ready:
                await self.open()
            self.refresh()
            frozen = self.columns(self.box(box.number)).copy()
            return await self.submit(_on_frozen(box.number, self.upto, frozen, plan, run))

    # -- small changes of their own ---------------------------------------------------------------------------------

    def subscriptions(self) -> set[str]:
        return {row[0] for row in self.query("SELECT name FROM subscription")}

    async def claim(self, number: int, uidnext: int) -> int:
        """Take the unclaimed \\Recent below ``uidnext`` for one view: the first uid of them.

        In a store that cannot be written nothing is claimed, but the view shows what it would have got.
        """
        first = self._claim_inline(number, uidnext)
        if first is None:
            try:
                first = await self.submit(lambda tx: _claim(tx, number, uidnext))
            except (ReadOnly, Unavailable):
                rows = self.query("SELECT first_recent FROM mailbox WHERE id = ?", (number,))
                first = rows[0][0] if rows else uidnext
        return first

    def _claim_inline(self, number: int, uidnext: int) -> int | None:
        tx = self.begin_inline()
        if tx is None:
            return None
        try:
            first = self.guard(_claim, tx, number, uidnext)
            self.commit_inline(tx)
        except (ReadOnly, Unavailable):
            return None
        finally:
            self.rollback()
        return first

    def keep_cache_rows(self, rows: list[tuple[object, ...]]) -> None:
        """Store what was derived late; when the lock is taken it is derived again another time."""
        if not rows:
            return
        try:
            tx = self.begin_inline()
            if tx is not None:
                self.guard(keep_cache_rows, tx, rows)
                self.commit_inline(tx)
        except (ReadOnly, Unavailable):
            pass
        finally:
            self.rollback()


def _claim(tx: Transaction, number: int, uidnext: int) -> int:
    first: int = tx.require(number, "first_recent")[0]
    if first < uidnext:
        tx.execute("UPDATE mailbox SET first_recent = ? WHERE id = ?", (uidnext, number))
    return first


def _on_plan(mailbox: int, upto: int, plan: T, run: Callable[[Transaction, T], Any]) -> Callable[[Transaction], Any]:
    def job(tx: Transaction) -> Any:
        if tx.modseq != upto and tx.tail(mailbox, upto):
            raise Stale
        return run(tx, plan)

    return job


def _on_frozen(
    mailbox: int, upto: int, frozen: Columns, plan: Callable[[Columns], T | None], run: Callable[[Transaction, T], Any]
) -> Callable[[Transaction], Any]:
    def job(tx: Transaction) -> Any:
        for entry in tx.tail(mailbox, upto):
            frozen.apply(entry)
        made = plan(frozen)
        return None if made is None else run(tx, made)

    return job
