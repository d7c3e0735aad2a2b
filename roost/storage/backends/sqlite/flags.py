"""STORE: one journal row, whatever the number of messages; inline on the loop thread, or by the writer.

Inline means: lock, one row, COMMIT without a wait for the disk, the columns changed in place. That is safe against a
killed process at once (the WAL is in the system's hands) and against a power cut after the next durable commit.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from roost.storage import flagbits
from roost.storage.api import Flags, FlagsOp, StoreResult, Update
from roost.storage.api import Kind as Hint
from roost.storage.backends.sqlite.append import set_keywords
from roost.storage.backends.sqlite.box import Box
from roost.storage.backends.sqlite.store import Store
from roost.storage.backends.sqlite.transaction import LOG, Transaction, uids_to_row
from roost.storage.columns import Columns, StorePlan
from roost.storage.journal import Entry, Kind, mask_octets
from roost.storage.limits import Limits
from roost.util.ranges import EMPTY, Ranges

# Looked up once: reading a member off its enumeration costs more than the comparison.
KEYWORDS = Kind.KEYWORDS
REMOVE = FlagsOp.REMOVE
NEW_FLAGS = Hint.FLAGS

KINDS = {FlagsOp.ADD: Kind.ADD, FlagsOp.REMOVE: Kind.REMOVE, FlagsOp.SET: Kind.SET}


class Wish(NamedTuple):
    """The arguments of ``update_messages_flags``."""

    uids: Ranges
    op: FlagsOp
    flags: Flags
    unchanged_since: int | None

    def table(self, columns: Columns, limits: Limits) -> tuple[str, ...]:
        """The keyword table afterwards. Raises LimitExceeded, Refused."""
        keywords = self.flags.keywords
        if not keywords or self.op is REMOVE:
            return columns.keywords
        return flagbits.add_keywords(columns.keywords, keywords, limits)


def store_inline(store: Store, number: int, wish: Wish) -> StoreResult | None:
    """Do it now; None when somebody else holds the lock."""
    store.refresh()
    box = store.box(number)
    columns = store.columns(box)
    table = wish.table(columns, store.backend.limits)
    if table == columns.keywords:
        # The common case: one row, one statement. It fails when somebody was quicker; then under the lock.
        mask = flagbits.mask_of(table, wish.flags)
        plan = columns.plan_store(wish.uids, wish.op, mask, wish.unchanged_since)
        if not plan.changed:
            return StoreResult(0, (), (), plan.conflicts, plan.missing, table)
        entry = Entry(store.upto + 1, KINDS[wish.op], plan.changed, mask_octets(mask))
        if store.log_inline(
            (entry.modseq, number, entry.kind, int(time.time()), uids_to_row(plan.changed), entry.data)
        ):
            return _applied(store, box, columns, wish.op, mask, plan, entry)
    return _store_locked(store, number, wish)


def _store_locked(store: Store, number: int, wish: Wish) -> StoreResult | None:
    """Plan and write under the lock; None when it is taken."""
    tx = store.begin_inline()
    if tx is None:
        return None
    try:
        box = store.box(number)
        columns = store.columns(box)
        table = wish.table(columns, store.backend.limits)
        mask = flagbits.mask_of(table, wish.flags)
        plan = columns.plan_store(wish.uids, wish.op, mask, wish.unchanged_since)
        if not plan.changed:
            store.rollback()
            return StoreResult(0, (), (), plan.conflicts, plan.missing, columns.keywords)
        entries = store.guard(_write, tx, number, table if table != columns.keywords else None, wish.op, mask, plan)
    except BaseException:
        store.rollback()
        raise
    store.commit_inline(tx)
    for entry in entries[:-1]:
        columns.apply(entry)
        store.applied(box, entry)
    return _applied(store, box, columns, wish.op, mask, plan, entries[-1])


def _applied(
    store: Store, box: Box, columns: Columns, op: FlagsOp, mask: int, plan: StorePlan, entry: Entry
) -> StoreResult:
    """It is committed: the columns follow, the hint goes out."""
    rows = plan.rows
    cursors = columns.modseq, entry.modseq
    columns.store(rows, op, mask, entry.modseq)
    store.applied(box, entry)
    store.backend.publish(Update(store.username, box.id, entry.modseq, NEW_FLAGS))
    store.care.fold_if_due(box, columns)
    return StoreResult(
        entry.modseq,
        columns.column_slices(columns.uids, rows),
        columns.column_slices(columns.flags, rows),
        plan.conflicts,
        plan.missing,
        columns.keywords,
        cursors,
    )


def _write(
    tx: Transaction, number: int, new_table: tuple[str, ...] | None, op: FlagsOp, mask: int, plan: StorePlan
) -> list[Entry]:
    """The journal rows of a STORE."""
    entries = []
    if new_table is not None:
        set_keywords(tx, number, new_table)
        entries.append(Entry(tx.modseq, KEYWORDS, EMPTY, " ".join(new_table).encode()))
    kind, data = KINDS[op], mask_octets(mask)
    modseq = tx.modseq = tx.modseq + 1
    tx.execute(LOG, (modseq, number, kind, tx.now, uids_to_row(plan.changed), data))
    entries.append(Entry(modseq, kind, plan.changed, data))
    return entries


@dataclass(frozen=True, slots=True)
class WrittenStore:
    """A STORE planned for the writer's thread; touches no live column."""

    changed: Ranges
    uids: array[int]
    flags: array[int]  # afterwards
    mask: int
    table: tuple[str, ...]
    new_keywords: bool
    conflicts: Ranges
    missing: Ranges


def plan_written(columns: Columns, wish: Wish, limits: Limits) -> WrittenStore:
    """For ``Store.change``."""
    table = wish.table(columns, limits)
    mask = flagbits.mask_of(table, wish.flags)
    plan = columns.plan_store(wish.uids, wish.op, mask, wish.unchanged_since)
    flags = columns.column_slices(columns.flags, plan.rows) if plan.rows else array("Q")
    if flags:
        flagbits.change(flags, 0, len(flags), wish.op, mask)
    uids = columns.column_slices(columns.uids, plan.rows) if plan.rows else array("I")
    grows = bool(plan.changed) and table != columns.keywords
    if not plan.changed:
        table = columns.keywords
    return WrittenStore(plan.changed, uids, flags, mask, table, grows, plan.conflicts, plan.missing)


def store_written(tx: Transaction, number: int, op: FlagsOp, plan: WrittenStore) -> StoreResult:
    """In the writer's transaction."""
    tx.require(number, "id")
    modseq = 0
    if plan.changed:
        if plan.new_keywords:
            set_keywords(tx, number, plan.table)
        modseq = tx.log(number, KINDS[op], plan.changed, mask_octets(plan.mask))
    return StoreResult(modseq, plan.uids, plan.flags, plan.conflicts, plan.missing, plan.table)
