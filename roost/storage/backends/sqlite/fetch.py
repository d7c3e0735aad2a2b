"""FETCH: what is in the columns comes as slices, the rest as one statement a batch.

No read transaction is open while a batch is with the caller: each statement is read to its end (or closed) first.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import apsw

from roost.storage.api import FetchRequest, MessageBatch
from roost.storage.backends.sqlite.connection import translate
from roost.storage.backends.sqlite.fetch_rows import add_rows, cut, matching, plan_for, read_body, where
from roost.storage.columns import Columns
from roost.util.ranges import Ranges

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.box import Box
    from roost.storage.backends.sqlite.store import Store

COLUMN_BATCH = 512
ROW_BATCH = 256
CONTENT_BATCH_OCTETS = 1 << 20  # message octets held for one batch
CONTENT_ALONG_OCTETS = 64 << 10  # larger bodies are read when asked for
SPARSE = 3  # read this many times more rows than wanted rather than name each

# Twice as quick as the join when there is one row.
_CONTENT_OF_ONE = f"""SELECT body, size,
    CASE WHEN size <= {CONTENT_ALONG_OCTETS} THEN (SELECT data FROM body WHERE id = message.body) END
    FROM message WHERE mailbox = ? AND uid = ?"""

Rows = list[tuple[int, int]]


class Fetch:
    """One ``list_messages``."""

    __slots__ = ("box", "plan", "since", "store")

    def __init__(self, store: Store, box: Box, request: FetchRequest) -> None:
        self.store = store
        self.box = box
        self.plan = plan_for(request.items.value, request.header_fields)
        self.since = request.changed_since

    def one(self, uid: int) -> MessageBatch | None:
        """The batch of a single message, the short way; None when it is not there."""
        columns = self.store.columns(self.box)
        row = columns.row(uid)
        if row < 0 or (self.since is not None and columns.modseqs[row] <= self.since):
            return None
        plan = self.plan
        stop = row + 1
        batch = MessageBatch(columns.uids[row:stop])
        if plan.flags:
            batch.flags = columns.flags[row:stop]
        if plan.modseqs:
            batch.modseqs = columns.modseqs[row:stop]
        if plan.content:
            found = self.store.query(_CONTENT_OF_ONE, (self.box.number, uid))
            if not found:
                return None
            batch.contents = [StoredBody(self.store, *found[0])]
        if plan.reads_rows:
            add_rows(self.store, self.box, plan, batch, True)
        return batch if batch.uids else None

    async def batches(self, uids: Ranges) -> AsyncIterator[MessageBatch]:
        """Ascending; missing UIDs are skipped."""
        columns = self.store.columns(self.box)
        snapshot = columns.uids
        content = self.plan.content
        first = True
        for rows in chunks(columns.rows(uids), ROW_BATCH if self.plan.reads_rows or content else COLUMN_BATCH):
            if not first:  # others had their turn
                if not self.store.ready:
                    await self.store.open()
                self.store.refresh()
                columns = self.store.columns(self.store.box(self.box.number))
            first = False
            dense = (rows[-1][1] - rows[0][0]) <= SPARSE * sum([stop - start for start, stop in rows])
            if columns.uids is snapshot:
                batch = self._from_rows(columns, rows)
            else:
                batch = self._from_uids(columns, columns.column_slices(snapshot, rows))
            if batch is None:
                continue
            if content:
                for part in self._with_contents(batch, dense):
                    yield part
                    if not self.store.ready:  # closed while the client was reading
                        await self.store.open()
                continue
            rest: MessageBatch | None = batch
            while rest is not None:
                batch, rest = rest, None
                if self.plan.reads_rows:
                    if not self.store.ready:
                        await self.store.open()
                    rest = add_rows(self.store, self.box, self.plan, batch, dense)
                if batch.uids:
                    yield batch

    # -- columns ----------------------------------------------------------------------------------------------------

    def _from_rows(self, columns: Columns, rows: Rows) -> MessageBatch | None:
        uids = columns.column_slices(columns.uids, rows)
        since = self.since
        if since is not None:
            modseqs = columns.column_slices(columns.modseqs, rows)
            if max(modseqs) <= since:
                return None
            if min(modseqs) <= since:
                return self._from_uids(columns, uids)
        batch = MessageBatch(uids)
        if self.plan.flags:
            batch.flags = columns.column_slices(columns.flags, rows)
        if self.plan.modseqs:
            batch.modseqs = columns.column_slices(columns.modseqs, rows)
        return batch

    def _from_uids(self, columns: Columns, uids: array[int]) -> MessageBatch | None:
        since = self.since
        rows = [row for row in map(columns.row, uids) if row >= 0]
        if since is not None:
            rows = [row for row in rows if columns.modseqs[row] > since]
        if not rows:
            return None
        batch = MessageBatch(array("I", [columns.uids[row] for row in rows]))
        if self.plan.flags:
            batch.flags = array("Q", [columns.flags[row] for row in rows])
        if self.plan.modseqs:
            batch.modseqs = array("Q", [columns.modseqs[row] for row in rows])
        return batch

    # -- contents ---------------------------------------------------------------------------------------------------

    def _with_contents(self, batch: MessageBatch, dense: bool) -> Iterator[MessageBatch]:
        """Cut into parts of about ``CONTENT_BATCH_OCTETS``."""
        rest: MessageBatch | None = batch
        while rest is not None:
            part, rest = rest, None
            bodies, last = self._bodies(part, dense)
            uids = part.uids
            if last < uids[-1]:
                end = bisect_right(uids, last)
                part, rest = cut(part, 0, end), cut(part, end, len(uids))
            if not bodies.keys() >= set(part.uids):
                matching(part, [(uid,) for uid in part.uids if uid in bodies])
            more: MessageBatch | None = part
            while more is not None:
                part, more = more, None
                if part.uids and self.plan.reads_rows:
                    more = add_rows(self.store, self.box, self.plan, part, dense)
                if part.uids:
                    part.contents = [bodies[uid] for uid in part.uids]
                    yield part

    def _bodies(self, batch: MessageBatch, dense: bool) -> tuple[dict[int, StoredBody], int]:
        """Bodies from the batch's first uid on, and the uid until which they are complete."""
        condition, args = where(self.box.number, batch.uids, dense)
        sql = f"""SELECT m.uid, m.body, m.size, CASE WHEN m.size <= {CONTENT_ALONG_OCTETS} THEN b.data END
            FROM message m LEFT JOIN body b ON b.id = m.body WHERE {condition}"""
        store = self.store
        assert store.connection is not None
        out: dict[int, StoredBody] = {}
        octets = 0
        try:
            cursor = store.connection.execute(sql, args)
            for uid, body, size, data in cursor:
                out[uid] = StoredBody(store, body, size, data)
                if data is not None:
                    octets += size
                    if octets >= CONTENT_BATCH_OCTETS:
                        cursor.close(True)
                        return out, uid
        except apsw.Error as exc:
            raise store.failed(translate(exc, store.path)) from exc
        return out, batch.uids[-1]


class StoredBody:
    """A message's octets: at hand when it is small, read when asked for otherwise."""

    __slots__ = ("_body", "_data", "_store", "size_octets")

    def __init__(self, store: Store, body: int, size_octets: int, data: bytes | None) -> None:
        self.size_octets = size_octets
        self._store = store
        self._body = body
        self._data = data

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        data = self._data
        if data is not None:
            return data if start == 0 and stop is None else data[start:stop]
        end = self.size_octets if stop is None else min(stop, self.size_octets)
        if start >= end:
            return b""
        if not self._store.ready:
            await self._store.open()
        return read_body(self._store, self._body, start, end)


def chunks(rows: Rows, size: int) -> Iterator[Rows]:
    """Row ranges cut and gathered into lists of at most ``size`` rows each."""
    out: Rows = []
    room = size
    for start, stop in rows:
        while start < stop:
            end = min(stop, start + room)
            out.append((start, end))
            room -= end - start
            start = end
            if not room:
                yield out
                out, room = [], size
    if out:
        yield out
