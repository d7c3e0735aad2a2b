"""FETCH of what is in rows: cached items, header fields, and what has to be worked out now.

``add_rows`` fills a batch. What hostile mail can make large is bounded for each batch: octets of cached items, octets
of messages parsed now, octets of headers read. When a bound is reached the batch ends there, and the rest is returned
for the next one, so that other clients have their turn in between.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Generator, Sequence
from functools import lru_cache
from itertools import compress, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import apsw

from roost.errors import Corrupt
from roost.mime.header import select_fields
from roost.storage.api import Items, MessageBatch
from roost.storage.backends.sqlite.append import MAX_UID, cache_row
from roost.storage.backends.sqlite.bodies import gone
from roost.storage.backends.sqlite.cache import Picker, known
from roost.storage.backends.sqlite.connection import translate
from roost.storage.backends.sqlite.expunge import json_list

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.box import Box
    from roost.storage.backends.sqlite.store import Store

CACHED_OCTETS = 1 << 20  # of cached items in one batch, looked at after each group of rows
FIRST_GROUP_ROWS, GROUP_ROWS = 4, 32
PARSED_OCTETS = 256 << 10  # of messages parsed for one batch
HEADER_OCTETS = 256 << 10  # of headers read from bodies for one batch

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


class Plan:
    """What a request needs, worked out once for each kind of request."""

    __slots__ = ("cached", "content", "fields", "flags", "modseqs", "names", "picker", "places", "reads_rows", "sql",
                 "wide")  # fmt: skip

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
        self.wide = [itemgetter(n) for n, place in enumerate(self.places, 1) if place]  # long octet strings of a row


@lru_cache(maxsize=256)
def plan_for(items: int, fields: tuple[bytes, ...] | None) -> Plan:
    """The plan of a request; clients repeat themselves."""
    return Plan(items, fields)


def where(mailbox: int, uids: Sequence[int], dense: bool) -> tuple[str, tuple[Any, ...]]:
    """The condition that selects these messages, and its arguments."""
    if len(uids) == 1:
        return _ONE, (mailbox, uids[0])
    if dense:
        return _RANGE, (mailbox, uids[0], uids[-1])
    return _LIST, (mailbox, json_list(uids))


def add_rows(store: Store, box: Box, plan: Plan, batch: MessageBatch, dense: bool) -> MessageBatch | None:
    """Fill the batch, or its beginning; the rest of it, to be filled later, or None. Messages that are gone are left
    out. Raises Unavailable, Corrupt, MessagesGone."""
    condition, args = where(box.number, batch.uids, dense)
    if plan.cached and len(batch.uids) > FIRST_GROUP_ROWS:
        found, rest = _read_some(store, plan, batch, plan.sql + condition, args)
    else:
        found, rest = store.query(plan.sql + condition, args), None
    rows = matching(batch, found)
    if plan.cached and None in [row[-1] for row in rows]:
        rows, later = _derive_missing(store, box, plan, batch, rows)
        rest = _joined(later, rest)
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 10
    if plan.fields is not None:
        blocks = columns[1 + len(plan.names)] if plan.picker is not None else [None] * len(rows)
        later = _add_headers(store, box, plan, batch, dense, blocks)
        if later is not None:
            rest = _joined(later, rest)
            columns = [column[: len(batch.uids)] for column in columns]
    for n, name in enumerate(plan.names, 1):
        if name == "email_ids":
            batch.email_ids = [f"e{body:x}" for body in columns[n]]
        else:
            setattr(batch, name, columns[n])
    return rest


def _read_some(
    store: Store, plan: Plan, batch: MessageBatch, sql: str, args: tuple[Any, ...]
) -> tuple[list[Any], MessageBatch | None]:
    """Rows until there are many octets in them; the batch is cut behind the last one."""
    connection = store.connection
    assert connection is not None
    rows: list[Any] = []
    octets = 0
    size = FIRST_GROUP_ROWS
    try:
        cursor = connection.execute(sql, args)
        while group := list(islice(cursor, size)):
            rows += group
            if len(group) < size:
                break
            size = min(2 * size, GROUP_ROWS)
            for value in plan.wide:
                octets += sum(map(len, filter(None, map(value, group))))
            if octets > CACHED_OCTETS:
                cursor.close(True)
                return rows, _split(batch, bisect_right(batch.uids, rows[-1][0]))
    except apsw.BusyError:
        return store.query(sql, args), None  # which waits
    except apsw.Error as exc:
        raise store.failed(translate(exc, store.path)) from exc
    return rows, None


def _each(store: Store, sql: str, args: tuple[Any, ...]) -> Generator[Any, None, None]:
    """The rows of a statement one by one; close it when enough were read. Raises Unavailable, Corrupt."""
    connection = store.connection
    assert connection is not None
    try:
        try:
            cursor = connection.execute(sql, args)
        except apsw.BusyError:
            yield from store.query(sql, args)  # which waits
            return
        try:
            yield from cursor
        finally:
            cursor.close(True)
    except apsw.Error as exc:
        raise store.failed(translate(exc, store.path)) from exc


def _derive_missing(
    store: Store, box: Box, plan: Plan, batch: MessageBatch, rows: list[Any]
) -> tuple[list[Any], MessageBatch | None]:
    """Parse messages without a cache row now, and keep the result when the lock is free.

    Between the two statements the writer may have kept the row itself, or the message may have gone: then it is left
    out, as if it had gone before.
    """
    missing = [row[0] for row in rows if row[-1] is None]
    sql = f"SELECT m.uid, m.body, m.size, b.data FROM message m LEFT JOIN body b ON b.id = m.body WHERE {_LIST}"
    limits = store.backend.mime_limits
    fresh: dict[int, tuple[object, ...]] = {}
    octets = 0
    rest = None
    cursor = _each(store, sql, (box.number, json_list(missing)))
    for uid, body, size, data in cursor:
        fresh[uid] = cache_row(body, data if data is not None else read_blob(store, body, 0, size), limits)
        octets += size
        if octets > PARSED_OCTETS and uid < missing[-1]:
            cursor.close()
            rest = _split(batch, bisect_right(batch.uids, uid))
            del rows[len(batch.uids) :]
            break
    store.keep_cache_rows(list(fresh.values()))
    out = []
    for row in rows:
        if row[-1] is None:
            made = fresh.get(row[0])
            if made is None:
                continue
            row = (
                row[0],
                *[made[p] if p else old for p, old in zip(plan.places, row[1:], strict=False)],
                made[0],
            )
        out.append(row)
    return matching(batch, out), rest


def _add_headers(
    store: Store, box: Box, plan: Plan, batch: MessageBatch, dense: bool, blocks: Sequence[bytes | None]
) -> MessageBatch | None:
    """``headers`` of the batch, from the kept fields or, where they are not, from the bodies; the rest of it."""
    picker = plan.picker
    rest = None
    if not batch.uids:
        batch.headers = []
        return None
    whole: dict[int, bytes] = {}
    if picker is None or None in blocks:
        if picker is None:
            condition, args = where(box.number, batch.uids, dense)
        else:
            kept = zip(batch.uids, blocks, strict=True)
            condition, args = _LIST, (box.number, json_list([uid for uid, block in kept if block is None]))
        whole, last = _headers_from_bodies(store, plan, condition, args)
        if last < batch.uids[-1]:
            rest = _split(batch, bisect_right(batch.uids, last))
            blocks = blocks[: len(batch.uids)]
    try:
        if picker is None:
            batch.headers = [whole.get(uid, b"") for uid in batch.uids]
        elif not whole:
            batch.headers = list(map(picker.pick, blocks))  # type: ignore[arg-type]  # no None among them
        else:
            pairs = zip(batch.uids, blocks, strict=True)
            batch.headers = [picker.pick(block) if block is not None else whole.get(uid, b"") for uid, block in pairs]
    except (IndexError, ValueError) as exc:
        detail = f"{store.path}: mailbox {box.name!r}: cached fields: {exc}"
        raise store.failed(Corrupt("The mail store is damaged", detail=detail)) from exc
    return rest


def _headers_from_bodies(
    store: Store, plan: Plan, condition: str, args: tuple[Any, ...]
) -> tuple[dict[int, bytes], int]:
    """The wanted fields of messages, and the UID until which they are complete."""
    sql = f"""SELECT m.uid, m.body, ifnull(c.header_octets, m.size),
        substr(b.data, 1, ifnull(c.header_octets, m.size)) FROM message m
        LEFT JOIN cache c ON c.body = m.body LEFT JOIN body b ON b.id = m.body WHERE {condition}"""
    assert plan.fields is not None
    found = {}
    octets = 0
    cursor = _each(store, sql, args)
    for uid, body, size, data in cursor:
        found[uid] = select_fields(data if data is not None else read_blob(store, body, 0, size), plan.fields)
        octets += size
        if octets > HEADER_OCTETS:
            cursor.close()
            return found, uid
    return found, MAX_UID


def cut(batch: MessageBatch, start: int, stop: int) -> MessageBatch:
    """A part of a batch that has only what comes from columns."""
    part = MessageBatch(batch.uids[start:stop])
    if batch.flags is not None:
        part.flags = batch.flags[start:stop]
    if batch.modseqs is not None:
        part.modseqs = batch.modseqs[start:stop]
    return part


def _split(batch: MessageBatch, at: int) -> MessageBatch | None:
    """Cut the batch down to its first messages; the others."""
    rest = cut(batch, at, len(batch.uids))
    batch.uids = batch.uids[:at]
    if batch.flags is not None:
        batch.flags = batch.flags[:at]
    if batch.modseqs is not None:
        batch.modseqs = batch.modseqs[:at]
    return rest if rest.uids else None


def _joined(first: MessageBatch | None, second: MessageBatch | None) -> MessageBatch | None:
    """Two rests of one batch, in order."""
    if first is None or second is None:
        return first or second
    first.uids = array("I", [*first.uids, *second.uids])
    if first.flags is not None and second.flags is not None:
        first.flags = array("Q", [*first.flags, *second.flags])
    if first.modseqs is not None and second.modseqs is not None:
        first.modseqs = array("Q", [*first.modseqs, *second.modseqs])
    return first


def matching(batch: MessageBatch, rows: list[Any]) -> list[Any]:
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
    try:
        return store.blobs.read(rows[0][0], start, stop)
    except Corrupt as exc:  # one letter is damaged, not the store
        store.backend.complain(f"A message of {store.username} is damaged, no other is affected: {exc.detail}")
        raise
