"""The columns of one mailbox in memory: uids, flag masks and modseqs, parallel and ascending by uid.

``uids`` is shared with every view: it only ever grows at its end, and an expunge makes a new array, so that a view that
reads below its own count always sees the same numbers. The other columns belong to this object alone.

Changes come as journal ``Entry`` objects only (``apply``), so that a mailbox in memory is the same whichever process
made the change.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from roost.storage import flagbits
from roost.storage.api import SEEN, FlagsOp
from roost.storage.journal import Entry, Kind
from roost.util.ranges import EMPTY, Ranges, rows_of

FLAG_OPS = {Kind.ADD: FlagsOp.ADD, Kind.REMOVE: FlagsOp.REMOVE, Kind.SET: FlagsOp.SET}

ROW_OCTETS = 4 + 8 + 8


@dataclass(slots=True)
class StorePlan:
    """What a STORE would do: nothing is changed yet. ``rows`` are half-open row ranges of ``changed``."""

    changed: Ranges
    rows: list[tuple[int, int]]
    conflicts: Ranges
    missing: Ranges


class Columns:
    """See the head of the file. ``modseq`` is the highest one applied that concerns this mailbox."""

    __slots__ = ("_counts", "flags", "keywords", "modseq", "modseqs", "uidnext", "uids")

    def __init__(self, keywords: tuple[str, ...] = (), uidnext: int = 1, modseq: int = 0) -> None:
        self.uids: array[int] = array("I")
        self.flags: array[int] = array("Q")
        self.modseqs: array[int] = array("Q")
        self.keywords = keywords
        self.uidnext = uidnext
        self.modseq = modseq
        self._counts: tuple[int, int, int | None] | None = None

    def copy(self) -> Columns:
        """A frozen twin, for another thread or for a plan on a later state."""
        twin = Columns(self.keywords, self.uidnext, self.modseq)
        twin.uids, twin.flags, twin.modseqs = self.uids[:], self.flags[:], self.modseqs[:]
        return twin

    @property
    def octets(self) -> int:
        """Memory held, roughly."""
        return 400 + ROW_OCTETS * len(self.uids)

    # -- reading ----------------------------------------------------------------------------------------------------

    def rows(self, uids: Ranges) -> list[tuple[int, int]]:
        """Half-open row ranges of those of ``uids`` that exist."""
        return rows_of(uids, self.uids, len(self.uids))

    def row(self, uid: int) -> int:
        """The row of a uid, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def present(self, uids: Ranges) -> Ranges:
        """Those of ``uids`` that exist."""
        pairs = []
        column = self.uids
        for start, stop in self.rows(uids):
            low, high = column[start], column[stop - 1]
            if high - low == stop - start - 1:
                pairs.append((low, high))
            else:
                pairs.extend(Ranges.of_sorted(column[start:stop]).pairs)
        return Ranges(pairs)

    def counts(self) -> tuple[int, int, int | None]:
        """(unseen, deleted, first unseen uid or None)."""
        if self._counts is None:
            first = flagbits.first_without(self.flags, SEEN)
            self._counts = (
                flagbits.count_unseen(self.flags),
                flagbits.count_deleted(self.flags),
                self.uids[first] if first >= 0 else None,
            )
        return self._counts

    def with_flag(self, bit: int, within: Ranges | None = None) -> Ranges:
        """UIDs of the messages that have the flag of this bit."""
        pairs: list[tuple[int, int]] = []
        for start, stop in [(0, len(self.uids))] if within is None else self.rows(within):
            for a, b in flagbits.runs(flagbits.plane(self.flags, bit, start, stop), start):
                low, high = self.uids[a], self.uids[b - 1]
                pairs.extend([(low, high)] if high - low == b - a - 1 else Ranges.of_sorted(self.uids[a:b]).pairs)
        return Ranges(pairs) if pairs else EMPTY

    def column_slices(self, column: array[int], rows: list[tuple[int, int]]) -> array[int]:
        """The entries of ``column`` in these rows, one array."""
        if len(rows) == 1:
            return column[rows[0][0] : rows[0][1]]
        out: array[int] = array(column.typecode)
        for start, stop in rows:
            out.extend(column[start:stop])
        return out

    # -- planning ---------------------------------------------------------------------------------------------------

    def plan_store(self, uids: Ranges, op: FlagsOp, mask: int, unchanged_since: int | None) -> StorePlan:
        """Which messages a STORE would change."""
        pairs = uids.pairs
        if unchanged_since is None and len(pairs) == 1 and pairs[0][0] == pairs[0][1]:
            return self._plan_one(uids, op, mask)
        rows = self.rows(uids)
        found = sum([stop - start for start, stop in rows])
        missing = EMPTY if found == len(uids) else uids - self.present(uids)
        conflicts = EMPTY
        if unchanged_since is not None:
            rows, conflicts = self._unchanged(rows, unchanged_since)
        changed: list[tuple[int, int]] = []
        for start, stop in rows:
            changed += flagbits.would_change(self.flags, start, stop, op, mask)
        return StorePlan(self.uids_of(changed), changed, conflicts, missing)

    def _plan_one(self, uid: Ranges, op: FlagsOp, mask: int) -> StorePlan:
        at = self.row(uid.pairs[0][0])
        if at < 0:
            return StorePlan(EMPTY, [], EMPTY, uid)
        old = self.flags[at]
        if flagbits.apply_mask(op, old, mask) == old:
            return StorePlan(EMPTY, [], EMPTY, EMPTY)
        return StorePlan(uid, [(at, at + 1)], EMPTY, EMPTY)

    def _unchanged(self, rows: list[tuple[int, int]], since: int) -> tuple[list[tuple[int, int]], Ranges]:
        """Rows whose modseq is at most ``since``, and the uids of the others."""
        fine: list[tuple[int, int]] = []
        clash: list[int] = []
        for start, stop in rows:
            part = self.modseqs[start:stop]
            if max(part) <= since:
                fine.append((start, stop))
                continue
            marks = bytes([modseq <= since for modseq in part])
            fine += flagbits.runs(marks, start)
            clash += [self.uids[start + i] for i, ok in enumerate(marks) if not ok]
        return fine, Ranges.of_sorted(clash)

    def uids_of(self, rows: list[tuple[int, int]]) -> Ranges:
        """The uids in these rows."""
        pairs: list[tuple[int, int]] = []
        for a, b in rows:
            low, high = self.uids[a], self.uids[b - 1]
            pairs.extend([(low, high)] if high - low == b - a - 1 else Ranges.of_sorted(self.uids[a:b]).pairs)
        return Ranges(pairs) if pairs else EMPTY

    # -- changing ---------------------------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Take over one journal entry; entries come in the order of their modseq, each once."""
        kind = entry.kind
        if kind in FLAG_OPS:
            self.store(self.rows(entry.uids), FLAG_OPS[kind], entry.mask, entry.modseq)
        elif kind is Kind.APPEND:
            self._append(entry)
        elif kind is Kind.EXPUNGE:
            self._expunge(entry.uids)
        elif kind is Kind.KEYWORDS:
            self.keywords = entry.keywords
        self.modseq = entry.modseq

    def store(self, rows: list[tuple[int, int]], op: FlagsOp, mask: int, modseq: int) -> None:
        """The rows' flags change and they get this modseq."""
        for start, stop in rows:
            flagbits.change(self.flags, start, stop, op, mask)
            if stop - start == 1:
                self.modseqs[start] = modseq
            else:
                self.modseqs[start:stop] = array("Q", [modseq]) * (stop - start)
        self.modseq = modseq
        self._counts = None

    def _append(self, entry: Entry) -> None:
        for low, high in entry.uids.pairs:
            if low == high:
                self.uids.append(low)
            else:
                self.uids.extend(range(low, high + 1))
        fresh = len(self.uids) - len(self.flags)
        masks = entry.masks
        self.flags.extend(masks if len(masks) == fresh else masks * fresh)
        self.modseqs.extend(array("Q", [entry.modseq]) * fresh)
        self.uidnext = max(self.uidnext, entry.uids.last + 1)
        self._counts = None

    def _expunge(self, uids: Ranges) -> None:
        gone = self.rows(uids)
        if not gone:
            return
        kept = []
        at = 0
        for start, stop in gone:
            if start > at:
                kept.append((at, start))
            at = stop
        if at < len(self.uids):
            kept.append((at, len(self.uids)))
        self.uids = self.column_slices(self.uids, kept)
        self.flags = self.column_slices(self.flags, kept)
        self.modseqs = self.column_slices(self.modseqs, kept)
        self._counts = None
