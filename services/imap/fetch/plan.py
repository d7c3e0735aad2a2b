"""From what a FETCH asks to how its rows are made. PURE.

Items that the store has as columns (flags, sizes, envelopes, chosen header fields …) become one row format, filled for
hundreds of messages at a time. Items that need the message's octets (BODY[…]) become ``sections``, made one message at
a time. Clients repeat the same few FETCHes for ever, so plans are remembered by their text (bounded).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from roost.imap import fetch_items
from roost.imap.args import Args
from roost.imap.assembler import Complete
from roost.imap.fetch_items import FetchArgs, FetchItem, Kind, Section
from roost.storage.api import FetchRequest, Items

_LONGEST_REMEMBERED_OCTETS: Final = 1024


class Column(enum.Enum):
    """A column of the row format; ``rows.COLUMNS`` says where its values come from."""

    UID = "uid"
    FLAGS = "flags"
    MODSEQ = "modseq"
    INTERNAL_DATE = "internal_date"
    SIZE = "size"
    ENVELOPE = "envelope"
    BODY = "body"
    BODYSTRUCTURE = "bodystructure"
    HEADER_SIZES = "header_sizes"
    HEADERS = "headers"


# Kind of item → what to ask of the store, the text of the row, its columns.
FETCH_ITEMS: Final[dict[Kind, tuple[Items, bytes, tuple[Column, ...]]]] = {
    Kind.UID: (Items(0), b"UID %d", (Column.UID,)),
    Kind.FLAGS: (Items.FLAGS, b"FLAGS %b", (Column.FLAGS,)),
    Kind.MODSEQ: (Items.MODSEQ, b"MODSEQ (%d)", (Column.MODSEQ,)),
    Kind.INTERNALDATE: (Items.INTERNAL_DATE, b'INTERNALDATE "%b"', (Column.INTERNAL_DATE,)),
    Kind.SIZE: (Items.SIZE, b"RFC822.SIZE %d", (Column.SIZE,)),
    Kind.ENVELOPE: (Items.ENVELOPE, b"ENVELOPE %b", (Column.ENVELOPE,)),
    Kind.BODY: (Items.BODY, b"BODY %b", (Column.BODY,)),
    Kind.BODYSTRUCTURE: (Items.BODYSTRUCTURE, b"BODYSTRUCTURE %b", (Column.BODYSTRUCTURE,)),
}
_ORDER: Final = {kind: place for place, kind in enumerate(FETCH_ITEMS)}
_UID, _FLAGS, _MODSEQ = (fetch_items.ITEMS[name] for name in (b"UID", b"FLAGS", b"MODSEQ"))


@dataclass(frozen=True, slots=True)
class Row:
    """``text``: the format of one row's items, without ``* n FETCH (`` and the end; ``columns`` fill it."""

    text: bytes
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """``row`` for each message; ``seen_row`` for those whose \\Seen this FETCH has just set (it names FLAGS)."""

    request: FetchRequest
    row: Row
    seen_row: Row
    sections: tuple[FetchItem, ...]
    sets_seen: bool
    enables_condstore: bool
    whole: tuple[bytes, bytes] | None  # BODY[] is the only section: the formats of both rows up to its octets
    condstore: Plan | None  # the same for a session with CONDSTORE, if that makes a difference


def parse(args: Args, *, by_uid: bool) -> Plan:
    """The items and modifiers of a FETCH, to the end of the command. Raises Malformed."""
    if not args.literals and len(args.raw) - args.pos <= _LONGEST_REMEMBERED_OCTETS:
        text = args.raw[args.pos :]
        args.pos = len(args.raw)
        return _remembered(text, by_uid)
    return make(fetch_items.parse(args), by_uid)


@lru_cache(maxsize=512)
def _remembered(text: bytes, by_uid: bool) -> Plan:
    return make(fetch_items.parse(Args(Complete(text))), by_uid)


def make(asked: FetchArgs, by_uid: bool, condstore: bool = False) -> Plan:
    """``by_uid``: UID FETCH, whose replies always carry UID; CHANGEDSINCE adds MODSEQ (RFC 7162 §3.1.4.1).

    ``condstore``: a row that tells changed flags also tells the modseq (RFC 7162 §3.2).
    """
    items = list(asked.items)
    if by_uid and _UID not in items:
        items.append(_UID)
    if asked.changed_since is not None and _MODSEQ not in items:
        items.append(_MODSEQ)
    sections = [item for item in items if item.kind is Kind.SECTION]
    from_column = _one_header_list(sections)
    if from_column is not None:
        sections.remove(from_column)
    plain = sorted([item for item in items if item.kind is not Kind.SECTION], key=lambda item: _ORDER[item.kind])
    row = _row(plain, from_column)
    seen_row = row
    if asked.sets_seen:
        told = dict.fromkeys([*plain, _FLAGS, _MODSEQ] if condstore else [*plain, _FLAGS])
        if len(told) > len(plain):
            seen_row = _row(sorted(told, key=lambda item: _ORDER[item.kind]), from_column)
    wanted = Items(0)
    for item in plain:
        wanted |= FETCH_ITEMS[item.kind][0]
    if sections:
        wanted |= Items.CONTENT
    if asked.sets_seen:
        wanted |= Items.FLAGS | Items.MODSEQ if condstore else Items.FLAGS
    fields = from_column.section.fields if from_column is not None and from_column.section is not None else None
    return Plan(
        FetchRequest(wanted, fields, asked.changed_since),
        row,
        seen_row,
        tuple(sections),
        asked.sets_seen,
        _MODSEQ in items,
        _whole(sections, row, seen_row),
        make(asked, by_uid, condstore=True) if asked.sets_seen and not condstore else None,
    )


def _whole(sections: list[FetchItem], row: Row, seen_row: Row) -> tuple[bytes, bytes] | None:
    if len(sections) != 1 or sections[0].partial is not None or sections[0].section != Section():
        return None
    end = sections[0].label + b" {%d}\r\n"
    plain, told = [b"* %d FETCH (" + (each.text + b" " if each.text else b"") + end for each in (row, seen_row)]
    return plain, told


def _one_header_list(sections: list[FetchItem]) -> FetchItem | None:
    """The HEADER.FIELDS item that the store's header column can serve: the only list, whole, of the message itself."""
    lists = [item for item in sections if item.section is not None and item.section.part == "HEADER.FIELDS"]
    if len(lists) == 1 and lists[0].partial is None and not _section(lists[0]).path:
        return lists[0]
    return None


def _section(item: FetchItem) -> Section:
    assert item.section is not None
    return item.section


def _row(plain: list[FetchItem], headers: FetchItem | None) -> Row:
    texts = [FETCH_ITEMS[item.kind][1] for item in plain]
    columns = [column for item in plain for column in FETCH_ITEMS[item.kind][2]]
    if headers is not None:
        texts.append(headers.label.replace(b"%", b"%%") + b" {%d}\r\n%b\r\n")
        columns += [Column.HEADER_SIZES, Column.HEADERS]
    return Row(b" ".join(texts), tuple(columns))
