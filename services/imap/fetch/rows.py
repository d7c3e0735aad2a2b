"""Rows of FETCH: whole batches formatted at a time from columns. PURE.

``render`` fills ``* n FETCH (…)`` for every message of a batch with one ``%`` over the zipped columns.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from roost.imap import dates
from roost.storage.api import MessageBatch
from services.imap.fetch.plan import Column, Row
from services.imap.selected import View

Cells = Sequence[object]


def render(view: View, batch: MessageBatch, row: Row) -> bytes:
    """All rows of ``batch``."""
    text = b"* %d FETCH (" + row.text + b")\r\n"
    columns = [view.seqs(batch.uids), *[COLUMNS[column](view, batch) for column in row.columns]]
    return text * len(batch.uids) % tuple(chain.from_iterable(zip(*columns, strict=True)))


def render_one(view: View, batch: MessageBatch, row: Row, seq: int) -> bytes:
    """The row of a batch of one message, whose sequence number is known."""
    return b"* %d FETCH (%b)\r\n" % (seq, row.text % tuple([COLUMNS[column](view, batch)[0] for column in row.columns]))


def render_mixed(view: View, batch: MessageBatch, plain: Row, told: Row, seen: Container[int]) -> bytes:
    """Rows of two forms: ``told`` for the UIDs in ``seen``."""
    texts = [b"* %d FETCH (" + row.text + b")\r\n" for row in (plain, told)]
    pairs = zip(batch.uids, cells(view, batch, plain), cells(view, batch, told), strict=True)
    return b"".join([texts[1] % new if uid in seen else texts[0] % old for uid, old, new in pairs])


def cells(view: View, batch: MessageBatch, row: Row) -> Iterable[tuple[object, ...]]:
    """The same values, message by message: sequence number, then the row's columns."""
    return zip(view.seqs(batch.uids), *[COLUMNS[column](view, batch) for column in row.columns], strict=True)


def _given(column: Sequence[object] | None) -> Cells:
    assert column is not None, "the store left out a column it was asked for"
    return column


@lru_cache(maxsize=4096)
def _day(day: int) -> bytes:
    return dates.internal_date(day * 86400)[:11]


def internal_date(secs: int) -> bytes:
    """``05-Jan-2026 10:00:00 +0000``; the day's text is remembered."""
    day, rest = divmod(secs, 86400)
    minutes, second = divmod(rest, 60)
    return b"%b %02d:%02d:%02d +0000" % (_day(day), minutes // 60, minutes % 60, second)


# Headers end in the empty line that the store leaves out: two octets more.
COLUMNS: Final[dict[Column, Callable[[View, MessageBatch], Cells]]] = {
    Column.UID: lambda view, batch: batch.uids,
    Column.FLAGS: lambda view, batch: view.flags_of(batch.uids, batch.flags or ()),
    Column.MODSEQ: lambda view, batch: _given(batch.modseqs),
    Column.INTERNAL_DATE: lambda view, batch: list(map(internal_date, batch.internal_dates or ())),
    Column.SIZE: lambda view, batch: _given(batch.sizes),
    Column.ENVELOPE: lambda view, batch: _given(batch.envelopes),
    Column.BODY: lambda view, batch: _given(batch.bodies),
    Column.BODYSTRUCTURE: lambda view, batch: _given(batch.bodystructures),
    Column.HEADER_SIZES: lambda view, batch: [len(header) + 2 for header in batch.headers or ()],
    Column.HEADERS: lambda view, batch: _given(batch.headers),
}
