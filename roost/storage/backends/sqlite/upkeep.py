"""What a store does for itself when things are quiet: snapshots, freed bodies, files that a crash left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from roost.storage.backends.sqlite import folding
from roost.storage.backends.sqlite.append import cache_row, keep_cache_rows
from roost.storage.backends.sqlite.bodies import COLLECT_ROWS, collect
from roost.storage.backends.sqlite.box import Box
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.columns import Columns
from roost.util.ranges import Ranges

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.store import Store

FOLD_ENTRIES = 512  # a snapshot is renewed after this many changes, and one more for each 64 messages
APPENDS_TO_FOLD = 1024
COLLECT_SECS = 2.0
DERIVE_SECS = 0.1
FRESH_OCTETS = 1 << 20  # of one store, waiting to be parsed


class Upkeep:
    """Of one store; everything it starts runs on the writer's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._collecting = False
        self._swept = False
        self._fresh: dict[int, bytes] = {}
        self._fresh_octets = 0

    def fold(self, box: Box, columns: Columns) -> None:
        """Renew the snapshot from these columns, which are the mailbox at ``upto``."""
        store = self._store
        number, upto, keep_secs = box.number, store.upto, store.backend.limits.store_journal_keep_secs
        twin = columns.copy() if box.since_fold else None
        blobs: list[bytes] = []

        def prepare() -> None:
            if twin is not None:
                blobs.append(folding.encode(twin))

        def run(tx: Transaction) -> None:
            folding.fold(tx, number, upto, blobs[0] if blobs else None)
            folding.trim(tx, keep_secs)

        box.since_fold = 0
        store.upkeep(run, prepare=prepare)

    def fold_if_due(self, box: Box, columns: Columns) -> None:
        """After a change."""
        if box.since_fold > FOLD_ENTRIES + len(columns.uids) // 64:
            self.fold(box, columns)

    def appended(self, number: int, uids: Ranges) -> None:
        """Deliveries to a mailbox that nobody reads still get a snapshot now and then, so that its first reader does
        not find a year of journal."""
        store = self._store
        if (uids.first - 1) // APPENDS_TO_FOLD != uids.last // APPENDS_TO_FOLD and number in store.boxes:
            store.refresh()
            box = store.boxes.get(number)
            if box is not None:
                columns = store.columns(box)
                if box.since_fold > FOLD_ENTRIES // 2:
                    self.fold(box, columns)

    def loaded(self, box: Box, columns: Columns, folded: int) -> None:
        """After columns were read from a snapshot that holds until ``folded`` and ``since_fold`` entries."""
        if box.since_fold > FOLD_ENTRIES or self._store.upto - folded > 4 * FOLD_ENTRIES:
            self.fold(box, columns)

    # -- parsing of new messages ------------------------------------------------------------------------------------

    def derive_later(self, fresh: dict[int, bytes]) -> None:
        """New bodies, to be parsed when they have been answered: in batches that cost half of parsing each alone.

        What is read before that is parsed by the reader, what a crash forgets too.
        """
        if not fresh:
            return
        if not self._fresh:
            self._store.backend.clock.call_later(DERIVE_SECS, self.derive_now)
        for body, data in fresh.items():
            self._fresh[body] = data
            self._fresh_octets += len(data)
        if self._fresh_octets > FRESH_OCTETS:
            self.derive_now()

    def derive_now(self) -> None:
        """Parse what waits, on the writer's thread."""
        fresh, self._fresh, self._fresh_octets = self._fresh, {}, 0
        if not fresh or self._store.connection is None:
            return
        limits = self._store.backend.mime_limits
        rows: list[tuple[object, ...]] = []
        self._store.upkeep(
            lambda tx: keep_cache_rows(tx, rows),
            prepare=lambda: rows.extend([cache_row(body, data, limits) for body, data in fresh.items()]),
        )

    # -- bodies of removed messages ---------------------------------------------------------------------------------

    def collect_soon(self) -> None:
        """Bodies of removed messages are freed a little later."""
        if not self._collecting:
            self._collecting = True
            self._store.backend.clock.call_later(COLLECT_SECS, self._collect)

    def _collect(self) -> None:
        self._collecting = False
        if self._store.connection is not None:
            self._store.upkeep(collect, after=self._collected)

    def _collected(self, result: tuple[int, list[str]]) -> None:
        """On the writer's thread."""
        rows, files = result
        for name in files:
            self._store.blobs.remove(name)
        if rows >= COLLECT_ROWS:
            self._store.backend.clock.call_soon(self._collect)

    def wind_down(self) -> None:
        """Before closing: fold what is in memory, collect, write the WAL back."""
        store = self._store
        for box in store.boxes.values():
            if box.columns is not None and box.since_fold:
                self.fold(box, box.columns)
        store.writer.checkpoint_due = True
        store.upkeep(collect, after=self._collected)
        if not self._swept and os.path.isdir(store.blobs.path):
            self._swept = True
            store.upkeep(lambda tx: {row[0] for row in tx.execute("SELECT name FROM blob")}, after=self._sweep)

    def _sweep(self, named: set[str]) -> None:
        """On the writer's thread."""
        found = self._store.blobs.sweep(named)
        if found:
            self._store.backend.log("info", f"{self._store.blobs.path}: removed {found} files that a crash had left")
