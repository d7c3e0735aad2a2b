"""FETCH: what is in the columns comes as slices, the rest as one statement a batch.

No read transaction is open while a batch is with the caller: each statement is read to its end (or closed) first.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Any

import apsw

from roost.errors import Corrupt
from roost.mime.header import select_fields
from roost.storage.api import FetchRequest, Items, MessageBatch
from roost.storage.backends.sqlite.append import cache_row
from roost.storage.backends.sqlite.bodies import gone
from roost.storage.backends.sqlite.cache import Picker, known
from roost.storage.backends.sqlite.connection import translate
from roost.storage.backends.sqlite.expunge import json_list
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

# As plain numbers: reading a member off its enumeration costs more than the question.
FLAGS, MODSEQ, CONTENT = Items.FLAGS.value, Items.MODSEQ.value, Items.CONTENT.value

# Item, what SELECT brings for it, MessageBatch's name for it, its place in a row of ``cache`` (0: not there).
ROW_ITEMS = (
    (Items.INTERNAL_DATE.value, "m.internal_date", "internal_dates", 0),
    (Items.SAVE_DATE.value, "m.save_date", "save_dates", 0),
    (Items.SIZE.value, "m.size", "sizes", 0),
    (Items.EMAIL_ID.value, "m.body", "email_ids", 0),
    (Items.ENVELOPE.value, "c.envelope", "envelopes", 1),
    (Items.BODY.value, "c.structure", "bodies", 2),
    (Items.BODYSTRUCTURE.value, "c.bodystructure", "bodystructures", 3),
)
FIELDS_PLACE = 5

_ONE = "m.mailbox = ? AND m.uid = ?"
_RANGE = "m.mailbox = ? AND m.uid BETWEEN ? AND ? ORDER BY m.uid"
_LIST = "m.mailbox = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid"

# Twice as quick as the join when there is one row.
_CONTENT_OF_ONE = f"""SELECT body, size,
    CASE WHEN size <= {CONTENT_ALONG_OCTETS} THEN (SELECT data FROM body WHERE id = message.body) END
    FROM message WHERE mailbox = ? AND uid = ?"""

Rows = list[tuple[int, int]]


class Plan:
    """What a request needs, worked out once for each kind of request."""

    __slots__ = ("cached", "content", "fields", "flags", "modseqs", "names", "picker", "places", "reads_rows", "sql")

    def __init__(self, items: int, fields: tuple[bytes, ...] | None) -> None:
        self.content = bool(items & CONTENT)
        self.flags = bool(items & FLAGS)
        self.modseqs = bool(items & MODSEQ)
        self.fields = None if fields is None else frozenset(fields)
        self.picker = Picker(fields) if fields is not None and known(fields) else None
        wanted = [row for row in ROW_ITEMS if items & row[0]]
        self.names = [name for _, _, name, _ in wanted]
        self.places = [place for _, _, _, place in wanted]
        self.cached = any(self.places) or self.picker is not None
        columns = ["m.uid", *[sql for _, sql, _, _ in wanted]]
        tables = "message m"
        if self.picker is not None:
            columns.append("c.fields")
            self.places.append(FIELDS_PLACE)
        if self.cached:
            columns.append("c.body")
            tables += " LEFT JOIN cache c ON c.body = m.body"
        self.sql = f"SELECT {', '.join(columns)} FROM {tables} WHERE "
        self.reads_rows = bool(self.names) or fields is not None


@lru_cache(maxsize=256)
def plan_for(items: int, fields: tuple[bytes, ...] | None) -> Plan:
    """The plan of a request; clients repeat themselves."""
    return Plan(items, fields)


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
            self._add_rows(batch, True)
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
            else:
                if self.plan.reads_rows:
                    self._add_rows(batch, dense)
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

    # -- rows -------------------------------------------------------------------------------------------------------

    def _where(self, batch: MessageBatch, dense: bool) -> tuple[str, tuple[Any, ...]]:
        uids = batch.uids
        if len(uids) == 1:
            return _ONE, (self.box.number, uids[0])
        if dense:
            return _RANGE, (self.box.number, uids[0], uids[-1])
        return _LIST, (self.box.number, json_list(uids))

    def _add_rows(self, batch: MessageBatch, dense: bool) -> None:
        where, args = self._where(batch, dense)
        rows = _matching(batch, self.store.query(self.plan.sql + where, args))
        if self.plan.cached and None in [row[-1] for row in rows]:
            rows = self._derive_missing(batch, rows)
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 10
        for n, name in enumerate(self.plan.names, 1):
            if name == "email_ids":
                batch.email_ids = [f"e{body:x}" for body in columns[n]]
            else:
                setattr(batch, name, columns[n])
        if self.plan.fields is not None:
            batch.headers = self._headers(batch, dense, columns[1 + len(self.plan.names)] if self.plan.picker else ())

    def _headers(self, batch: MessageBatch, dense: bool, blocks: Sequence[bytes | None]) -> list[bytes]:
        if self.plan.picker is None:
            return self._headers_from_bodies(batch, dense)
        try:
            if None not in blocks:
                return list(map(self.plan.picker.pick, blocks))  # type: ignore[arg-type]  # no None among them
            whole = self._headers_from_bodies(batch, dense)
            return [self.plan.picker.pick(block) if block is not None else whole[n] for n, block in enumerate(blocks)]
        except (IndexError, ValueError) as exc:
            raise self._corrupt(f"cached fields: {exc}") from exc

    def _headers_from_bodies(self, batch: MessageBatch, dense: bool) -> list[bytes]:
        """For fields that are not kept."""
        where, args = self._where(batch, dense)
        sql = f"""SELECT m.uid, m.body, ifnull(c.header_octets, m.size),
            substr(b.data, 1, ifnull(c.header_octets, m.size)) FROM message m
            LEFT JOIN cache c ON c.body = m.body LEFT JOIN body b ON b.id = m.body WHERE {where}"""
        assert self.plan.fields is not None
        found = {}
        for uid, body, octets, data in self.store.query(sql, args):
            header = data if data is not None else read_blob(self.store, body, 0, octets)
            found[uid] = select_fields(header, self.plan.fields)
        return [found.get(uid, b"") for uid in batch.uids]

    def _derive_missing(self, batch: MessageBatch, rows: list[Any]) -> list[Any]:
        """Parse messages without a cache row now, and keep the result when the lock is free.

        Between the two statements the writer may have kept the row itself, or the message may have gone: then it is
        left out, as if it had gone before.
        """
        missing = [row[0] for row in rows if row[-1] is None]
        sql = f"""SELECT m.uid, m.body, m.size, b.data FROM message m LEFT JOIN body b ON b.id = m.body WHERE {_LIST}"""
        limits = self.store.backend.mime_limits
        fresh = {}
        for uid, body, size, data in self.store.query(sql, (self.box.number, json_list(missing))):
            fresh[uid] = cache_row(body, data if data is not None else read_blob(self.store, body, 0, size), limits)
        self.store.keep_cache_rows(list(fresh.values()))
        out = []
        for row in rows:
            if row[-1] is None:
                made = fresh.get(row[0])
                if made is None:
                    continue
                row = (
                    row[0],
                    *[made[p] if p else old for p, old in zip(self.plan.places, row[1:], strict=False)],
                    made[0],
                )
            out.append(row)
        return _matching(batch, out)

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
                part, rest = _cut(part, 0, end), _cut(part, end, len(uids))
            if not bodies.keys() >= set(part.uids):
                _matching(part, [(uid,) for uid in part.uids if uid in bodies])
            if part.uids and self.plan.reads_rows:
                self._add_rows(part, dense)
            if part.uids:
                part.contents = [bodies[uid] for uid in part.uids]
                yield part

    def _bodies(self, batch: MessageBatch, dense: bool) -> tuple[dict[int, StoredBody], int]:
        """Bodies from the batch's first uid on, and the uid until which they are complete."""
        where, args = self._where(batch, dense)
        sql = f"""SELECT m.uid, m.body, m.size, CASE WHEN m.size <= {CONTENT_ALONG_OCTETS} THEN b.data END
            FROM message m LEFT JOIN body b ON b.id = m.body WHERE {where}"""
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

    def _corrupt(self, what: str) -> Corrupt:
        error = Corrupt("The mail store is damaged", detail=f"{self.store.path}: mailbox {self.box.name!r}: {what}")
        self.store.failed(error)
        return error


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


def _cut(batch: MessageBatch, start: int, stop: int) -> MessageBatch:
    part = MessageBatch(batch.uids[start:stop])
    if batch.flags is not None:
        part.flags = batch.flags[start:stop]
    if batch.modseqs is not None:
        part.modseqs = batch.modseqs[start:stop]
    return part


def _matching(batch: MessageBatch, rows: list[Any]) -> list[Any]:
    """Rows and batch cut down to the messages that are in both."""
    if len(rows) == len(batch.uids) and [row[0] for row in rows] == list(batch.uids):
        return rows
    by_uid = {row[0]: row for row in rows}
    keep = [uid in by_uid for uid in batch.uids]
    batch.uids = array("I", compress(batch.uids, keep))
    if batch.flags is not None:
        batch.flags = array("Q", compress(batch.flags, keep))
    if batch.modseqs is not None:
        batch.modseqs = array("Q", compress(batch.modseqs, keep))
    return [by_uid[uid] for uid in batch.uids]


def read_body(store: Store, body: int, start: int, stop: int) -> bytes:
    """Octets of a body by its id. Raises MessagesGone, Unavailable, Corrupt."""
    rows = store.query("SELECT substr(data, ?, ?) FROM body WHERE id = ?", (start + 1, stop - start, body))
    return bytes(rows[0][0]) if rows else read_blob(store, body, start, stop)


def read_blob(store: Store, body: int, start: int, stop: int) -> bytes:
    """The same for one in a file."""
    rows = store.query("SELECT name FROM blob WHERE id = ?", (body,))
    if not rows:
        raise gone()
    return store.guard(store.blobs.read, rows[0][0], start, stop)
