"""The journal: every change of a mailbox as one entry under one modseq, and what a view learns from a run of entries.

A user has one modseq counter, so all his changes stand in one order. ``STORE 1:10000 +FLAGS (\\Seen)`` is one entry. An
entry names only messages that it really changed.
"""

from __future__ import annotations

import enum
import sys
from array import array
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from roost.storage.api import Changes, MailboxState
from roost.util.ranges import EMPTY, Ranges

if TYPE_CHECKING:
    from roost.storage.columns import Columns


class Kind(enum.IntEnum):
    """What an entry records. The numbers are stored: never reuse one."""

    APPEND = 1  # uids; data: one mask for all, or one for each
    ADD = 2  # uids; data: mask
    REMOVE = 3
    SET = 4
    EXPUNGE = 5  # uids
    KEYWORDS = 6  # data: the mailbox's whole table, names joined by a space
    CREATE = 7  # data: name
    DELETE = 8
    RENAME = 9  # data: new name
    SUBSCRIPTION = 10  # data: name
    RESET = 11  # the mailbox got another UIDVALIDITY: views of it are void


class Entry(NamedTuple):
    """``data`` as ``Kind`` says; masks are native ``array('Q')`` octets in memory, little-endian at rest."""

    modseq: int
    kind: Kind
    uids: Ranges
    data: bytes = b""

    @property
    def mask(self) -> int:
        return int.from_bytes(self.data, "little")

    @property
    def masks(self) -> array[int]:
        return masks_from_octets(self.data)

    @property
    def keywords(self) -> tuple[str, ...]:
        return tuple(self.data.decode().split())


def mask_octets(mask: int) -> bytes:
    return mask.to_bytes(8, "little")


def masks_octets(masks: array[int]) -> bytes:
    """One mask when all are equal, else all of them."""
    first = masks[:1]
    if len(masks) > 1 and masks == first * len(masks):
        masks = first
    return _little(masks).tobytes()


def masks_from_octets(data: bytes) -> array[int]:
    masks: array[int] = array("Q")
    masks.frombytes(data)
    return _little(masks)


def _little(masks: array[int]) -> array[int]:
    if sys.byteorder != "little":
        masks = masks[:]
        masks.byteswap()
    return masks


FLAG_KINDS = frozenset({Kind.ADD, Kind.REMOVE, Kind.SET})


def changes_since(
    columns: Columns,
    entries: Iterable[Entry],
    cursor: int,
    own: Collection[int],
    recent: Ranges,
    state: MailboxState = MailboxState.OK,
) -> Changes:
    """What a view learns from ``entries``: all of its mailbox after the old cursor, in order.

    ``columns`` are the mailbox after the last entry, ``cursor`` the new one, ``recent`` the UIDs that this view may
    show as \\Recent (cut down to the new ones here).
    """
    added: list[tuple[int, int]] = []
    removed: list[tuple[int, int]] = []
    removed_by_others: list[tuple[int, int]] = []
    flagged: list[tuple[int, int]] = []
    for entry in entries:
        if entry.kind is Kind.EXPUNGE:
            removed += entry.uids.pairs  # also our own: what it took away is not new, however it came
            if entry.modseq not in own:
                removed_by_others += entry.uids.pairs
        elif entry.kind is Kind.RESET:
            state = MailboxState.UIDVALIDITY_CHANGED
        elif entry.modseq in own:
            continue
        elif entry.kind is Kind.APPEND:
            added += entry.uids.pairs
        elif entry.kind in FLAG_KINDS:
            flagged += entry.uids.pairs
    new, gone, changed = Ranges(added), Ranges(removed), Ranges(flagged)
    vanished = gone if len(removed) == len(removed_by_others) else Ranges(removed_by_others)
    if new:
        new, vanished, changed = new - gone, vanished - new, changed - new
    if gone:
        changed = changed - gone
    if changed:
        rows = columns.rows(changed)
        uids: Iterable[int] = columns.column_slices(columns.uids, rows)
        flags: Iterable[int] = columns.column_slices(columns.flags, rows)
        modseqs: Iterable[int] = columns.column_slices(columns.modseqs, rows)
    else:
        uids = flags = modseqs = ()
    return Changes(
        cursor=cursor,
        state=state,
        uids=columns.uids,
        count=len(columns.uids),
        uidnext=columns.uidnext,
        highest_modseq=columns.modseq,
        keywords=columns.keywords,
        new=new,
        recent=recent & new if recent else EMPTY,
        vanished=vanished,
        changed_uids=uids,  # type: ignore[arg-type]  # arrays and the empty tuple are sequences
        changed_flags=flags,  # type: ignore[arg-type]
        changed_modseqs=modseqs,  # type: ignore[arg-type]
    )


def unchanged(columns: Columns, cursor: int) -> Changes:
    """Nothing happened since ``cursor``."""
    return Changes(
        cursor, MailboxState.OK, columns.uids, len(columns.uids), columns.uidnext, columns.modseq, columns.keywords,
        EMPTY, EMPTY, EMPTY, (), (), (),
    )  # fmt: skip
