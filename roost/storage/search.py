"""SEARCH over any store (RFC 9051 §6.4.4): columns first, cached headers next, bodies last.

A set of messages is one long integer with an octet, 0 or 1, for each row of the mailbox: AND, OR and NOT of 10,000
messages are one operation each. A key that needs more than columns looks only at the messages that are still undecided
when its turn comes, and the keys of an AND or OR take their turns by price. Time is linear in messages and keys.

Dates compare by the day of the internal date in UTC. Text compares without case, encoded words and text parts decoded.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import compress
from typing import Protocol

from roost.imap.criteria import (
    All,
    And,
    Before,
    Body,
    Criteria,
    Flag,
    Header,
    Keyword,
    Larger,
    ModSeq,
    Not,
    On,
    Or,
    SentBefore,
    SentOn,
    SentSince,
    Since,
    Smaller,
    Text,
    Uids,
)
from roost.imap.dates import mail_date
from roost.mime import parts
from roost.storage import flagbits
from roost.storage.api import KEYWORD_SHIFT, FetchRequest, Items, MessageBatch, SearchResult
from roost.storage.columns import Columns
from roost.storage.text import Needle, field_matches, field_values
from roost.storage.waiting import Turn
from roost.util.ranges import Ranges, rows_of

DAY_SECS = 86_400
SLICE_SECS = 0.005


class Readable(Protocol):
    """The part of a Mailbox that a search uses."""

    def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]: ...


async def search(
    mailbox: Readable, columns: Columns, criteria: Criteria, within: Ranges | None, limits: parts.Limits
) -> SearchResult:
    """The matching UIDs of a mailbox whose columns are these; ``limits`` bound the parsing of bodies."""
    job = _Search(mailbox, columns, limits)
    start = job.everything if within is None else job.members(within)
    found = await job.match(criteria, start)
    uids: array[int] = array("I", compress(job.uids, job.marks(found))) if found else array("I")
    highest = max(compress(job.modseqs, job.marks(found)), default=0) if found and _mentions_modseq(criteria) else 0
    return SearchResult(uids, highest)


def _mentions_modseq(criteria: Criteria) -> bool:
    match criteria:
        case ModSeq():
            return True
        case And(keys) | Or(keys):
            return any(_mentions_modseq(key) for key in keys)
        case Not(key):
            return _mentions_modseq(key)
        case _:
            return False


def _price(criteria: Criteria) -> int:
    """0 columns in memory, 1 columns of the store, 2 cached headers, 3 bodies."""
    match criteria:
        case And(keys) | Or(keys):
            return max(_price(key) for key in keys)
        case Not(key):
            return _price(key)
        case Larger() | Smaller() | Before() | On() | Since():
            return 1
        case Header() | SentBefore() | SentOn() | SentSince():
            return 2
        case Body() | Text():
            return 3
        case _:
            return 0


class _Search:
    """One search of one mailbox as it was at the start."""

    def __init__(self, mailbox: Readable, columns: Columns, limits: parts.Limits) -> None:
        self.mailbox = mailbox
        self.limits = limits
        self.uids = columns.uids[:]
        self.flags = columns.flags
        self.modseqs = columns.modseqs
        self.keywords = [name.lower() for name in columns.keywords]
        self.count = len(self.uids)
        self.slice_ends = time.monotonic() + SLICE_SECS
        self.everything = int.from_bytes(b"\1" * self.count, "little")

    def marks(self, members: int) -> bytes:
        """One octet for each row."""
        return members.to_bytes(self.count, "little")

    def members(self, uids: Ranges) -> int:
        marks = bytearray(self.count)
        for start, stop in rows_of(uids, self.uids, self.count):
            marks[start:stop] = b"\1" * (stop - start)
        return int.from_bytes(marks, "little")

    def ranges(self, members: int) -> Ranges:
        return Ranges.of_sorted(compress(self.uids, self.marks(members)))

    async def match(self, criteria: Criteria, among: int) -> int:
        """Those of ``among`` that match."""
        if not among:
            return 0
        match criteria:
            case And(keys):
                for key in sorted(keys, key=_price):
                    among = await self.match(key, among)
                    if not among:
                        break
                return among
            case Or(keys):
                found = 0
                for key in sorted(keys, key=_price):
                    found |= await self.match(key, among & ~found)
                return found
            case Not(key):
                return among & ~await self.match(key, among)
            case Larger() | Smaller() | Before() | On() | Since():
                return await self._by_number(criteria, among)
            case Header() | SentBefore() | SentOn() | SentSince():
                return await self._by_header(criteria, among)
            case Body(needle):
                return await self._by_content(Needle(needle, self.limits).in_body, among)
            case Text(needle):
                return await self._by_content(Needle(needle, self.limits).in_message, among)
            case _:
                return among & self._by_column(criteria)

    def _by_column(self, criteria: Criteria) -> int:
        match criteria:
            case All():
                return self.everything
            case Flag(mask, present):
                return self._flagged(mask, present)
            case Keyword(name, present):
                folded = name.lower()
                if folded not in self.keywords:
                    return 0 if present else self.everything
                return self._flagged(1 << (KEYWORD_SHIFT + self.keywords.index(folded)), present)
            case Uids(Ranges() as uids):
                return self.members(uids)
            case ModSeq(minimum):
                return int.from_bytes(bytes([m >= minimum for m in self.modseqs[: self.count]]), "little")
            case _:
                raise TypeError(f"not resolved before the search: {criteria!r}")

    def _flagged(self, mask: int, present: bool) -> int:
        marks = int.from_bytes(flagbits.plane(self.flags, mask, 0, self.count), "little")
        return marks if present else self.everything & ~marks

    # -- what the store must be asked ------------------------------------------------------------------------------

    async def _by_number(self, criteria: Criteria, among: int) -> int:
        test = _number_test(criteria)
        if isinstance(criteria, (Larger, Smaller)):
            request = FetchRequest(Items.SIZE)
            return await self._scan(request, among, lambda batch: map(test, batch.sizes or ()))
        request = FetchRequest(Items.INTERNAL_DATE)
        return await self._scan(request, among, lambda batch: map(test, batch.internal_dates or ()))

    async def _by_header(self, criteria: Criteria, among: int) -> int:
        if isinstance(criteria, Header):
            name = criteria.name.encode()
            test = field_matches(criteria.needle)
        else:
            name = b"date"
            test = _sent_test(criteria)
        request = FetchRequest(Items(0), header_fields=(name,))
        return await self._scan(request, among, lambda batch: test(batch.headers or ()))

    async def _scan(self, request: FetchRequest, among: int, test: Callable[[MessageBatch], Iterable[bool]]) -> int:
        found: list[int] = []
        async for batch in self.mailbox.list_messages(self.ranges(among), request):
            found.extend(compress(batch.uids, test(batch)))
            await self._let_others()
        return self.members(Ranges.of_sorted(found))

    async def _let_others(self) -> None:
        """A turn for the process's other clients when the time slice is used up."""
        if time.monotonic() > self.slice_ends:
            await Turn()
            self.slice_ends = time.monotonic() + SLICE_SECS

    async def _by_content(self, test: Callable[[bytes], bool], among: int) -> int:
        found = []
        async for batch in self.mailbox.list_messages(self.ranges(among), FetchRequest(Items.CONTENT)):
            for uid, content in zip(batch.uids, batch.contents or (), strict=True):
                if test(await content.read()):
                    found.append(uid)
                await self._let_others()
        return self.members(Ranges.of_sorted(found))


def _number_test(criteria: Criteria) -> Callable[[int], bool]:
    match criteria:
        case Larger(octets):
            return octets.__lt__
        case Smaller(octets):
            return octets.__gt__
        case Before(day):
            return (day * DAY_SECS).__gt__
        case Since(day):
            return (day * DAY_SECS).__le__
        case On(day):
            low, high = day * DAY_SECS, (day + 1) * DAY_SECS
            return lambda secs: low <= secs < high
        case _:
            raise TypeError(f"no number: {criteria!r}")


def _sent_test(criteria: Criteria) -> Callable[[Sequence[bytes]], Iterable[bool]]:
    def day_of(header: bytes) -> int | None:
        values: Sequence[bytes] = field_values(header)
        date = mail_date(values[0]) if values else None
        return date[1] if date else None

    match criteria:
        case SentBefore(day):
            return lambda headers: [(sent := day_of(each)) is not None and sent < day for each in headers]
        case SentOn(day):
            return lambda headers: [day_of(each) == day for each in headers]
        case SentSince(day):
            return lambda headers: [(sent := day_of(each)) is not None and sent >= day for each in headers]
        case _:
            raise TypeError(f"no date: {criteria!r}")
