"""COPY and MOVE: rows that point to the same bodies."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from roost import durable
from roost.errors import Corrupt, LimitExceeded, NoSuchMailbox
from roost.storage import flagbits
from roost.storage.api import CopyResult
from roost.storage.backends.sqlite.append import MAX_UID, set_keywords
from roost.storage.backends.sqlite.expunge import FEW_PAIRS, json_list, remove_messages
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.columns import Columns
from roost.storage.journal import Kind, masks_octets
from roost.storage.limits import Limits
from roost.util.ranges import Ranges

_SHARE = """INSERT INTO shared SELECT body, 1 FROM message WHERE mailbox = ? AND uid {}
    ON CONFLICT (body) DO UPDATE SET more = more + 1"""
_SHARE_RANGE = _SHARE.format("BETWEEN ? AND ?")
_SHARE_LIST = _SHARE.format("IN (SELECT value FROM json_each(?))")

_COPY_RANGE = """INSERT INTO message SELECT ?, uid + ?, body, internal_date, ?, size, flags & 31 FROM message
    WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid"""
_COPY_LIST = """INSERT INTO message SELECT ?, j.key + ?, body, internal_date, ?, size, flags & 31
    FROM json_each(?) j JOIN message m ON m.mailbox = ? AND m.uid = j.value"""


@dataclass(slots=True)
class CopyPlan:
    """Messages of a mailbox with their flags as of one state."""

    uids: Ranges
    masks: array[int]
    keywords: tuple[str, ...]


def plan_copy(columns: Columns, uids: Ranges) -> CopyPlan:
    """Those of ``uids`` that exist."""
    rows = columns.rows(uids)
    return CopyPlan(columns.uids_of(rows), columns.column_slices(columns.flags, rows), columns.keywords)


def copy(tx: Transaction, source: int, plan: CopyPlan, dest: int, limits: Limits, *, move: bool) -> CopyResult:
    """Copy the planned messages, all or none. Raises NoSuchMailbox, LimitExceeded."""
    tx.require(source, "id")
    row = tx.execute(
        "SELECT uidnext, uidvalidity, keywords FROM mailbox WHERE id = ? AND selectable", (dest,)
    ).fetchone()
    if row is None:
        raise NoSuchMailbox("Mailbox doesn't exist")
    uidnext, uidvalidity, text = row
    if not plan.uids:
        return CopyResult(uidvalidity, plan.uids, plan.uids, 0)
    count = len(plan.masks)
    if uidnext + count > MAX_UID:
        raise LimitExceeded("No UIDs are left in the target mailbox")
    table = tuple(text.split())
    used = 0
    for mask in set(plan.masks):
        used |= mask
    wanted = flagbits.add_keywords(table, flagbits.names_in(plan.keywords, used), limits)
    if wanted != table:
        set_keywords(tx, dest, wanted)
    masks = flagbits.remap(plan.masks, plan.keywords, wanted)
    _rows(tx, source, plan.uids, dest, uidnext, share=not move)
    durable.crash_point("store-copy")
    copied, size = tx.execute(
        "SELECT count(*), total(size) FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ?",
        (dest, uidnext, uidnext + count - 1),
    ).fetchone()
    if copied != count:
        raise Corrupt("The mail store is damaged", detail=f"mailbox {source}: {count} messages, {copied} rows")
    tx.execute(
        "UPDATE mailbox SET uidnext = ?, messages = messages + ?, size_octets = size_octets + ? WHERE id = ?",
        (uidnext + count, count, int(size), dest),
    )
    uids = Ranges.span(uidnext, uidnext + count - 1)
    modseq = tx.log(dest, Kind.APPEND, uids, masks_octets(masks))
    if move:
        remove_messages(tx, source, plan.uids, keep_bodies=True)
        modseq = tx.log(source, Kind.EXPUNGE, plan.uids)
        durable.crash_point("store-move")
    return CopyResult(uidvalidity, plan.uids, uids, modseq)


def _rows(tx: Transaction, source: int, uids: Ranges, dest: int, uidnext: int, *, share: bool) -> None:
    """Row by row the same bodies; consecutive uids as one statement while their runs are few."""
    if len(uids.pairs) <= FEW_PAIRS:
        at = uidnext
        for low, high in uids.pairs:
            if share:
                tx.execute(_SHARE_RANGE, (source, low, high))
            tx.execute(_COPY_RANGE, (dest, at - low, tx.now, source, low, high))
            at += high - low + 1
        return
    text = json_list(uids)
    if share:
        tx.execute(_SHARE_LIST, (source, text))
    tx.execute(_COPY_LIST, (dest, uidnext, tx.now, text, source))
