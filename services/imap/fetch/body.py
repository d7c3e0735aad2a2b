"""BODY[…] of FETCH: sections and partials, small ones in one piece, large ones streamed as the client takes them.

A message up to ``WHOLE_OCTETS`` is read once and cut; of a larger one only what is wanted is read. Sections that need
the message's structure parse it once; the offsets of the last message are remembered in the view, because clients
fetch one large part in many pieces.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from roost.errors import RoostError
from roost.imap.fetch_items import FetchItem
from roost.mime.header import header_ends
from roost.mime.parts import Limits, Part, parse
from roost.mime.sections import header_fields, section_range
from roost.storage.api import Body, MessageBatch
from services.imap.fetch import rows
from services.imap.fetch.plan import Plan
from services.imap.selected import View
from services.imap.session import Session

WHOLE_OCTETS: Final = 256 * 1024
FIRST_HEADER_OCTETS: Final = 16 * 1024

Span = tuple[int, int]


class Source:
    """One message's octets, read no further than needed."""

    __slots__ = ("content", "data", "header_octets", "limits", "size", "uid", "view")

    def __init__(self, view: View, uid: int, content: Body, limits: Limits) -> None:
        self.view = view
        self.uid = uid
        self.content = content
        self.size = content.size_octets
        self.limits = limits
        self.data: bytes | None = None  # all of it, once read
        self.header_octets = -1

    async def read(self, start: int, stop: int) -> bytes:
        if self.data is None and self.size <= WHOLE_OCTETS:
            self.data = await self.content.read()
        if self.data is None:
            return await self.content.read(start, stop)
        return self.data if start == 0 and stop >= self.size else self.data[start:stop]

    async def header_end(self) -> int:
        """Octets of the message's own header with its empty line."""
        if self.header_octets < 0:
            wanted = FIRST_HEADER_OCTETS
            while True:
                block = await self.read(0, min(wanted, self.size))
                fields, body = header_ends(block, 0, len(block))
                if body > fields or len(block) >= self.size:
                    break
                wanted *= 4
            self.header_octets = body
        return self.header_octets

    async def tree(self) -> Part:
        """The parts, by offsets."""
        parsed = self.view.parsed
        if parsed is not None and parsed[0] == self.uid:
            return parsed[1]
        data = self.data if self.data is not None else await self.content.read()
        if self.size <= WHOLE_OCTETS:
            self.data = data
        tree = parse(data, self.limits)
        self.view.parsed = (self.uid, tree)
        return tree

    async def section(self, item: FetchItem) -> Span | bytes:
        """Where the section lies in the message, or its octets if it is put together. Empty when there is none."""
        section = item.section
        assert section is not None
        part = section.part
        if not section.path:
            if not part:
                return 0, self.size
            end = await self.header_end()
            span = (end, self.size) if part == "TEXT" else (0, end)
        else:
            found = section_range(await self.tree(), section.path, part)
            if found is None:
                return b""
            span = found
        if not part.startswith("HEADER.FIELDS"):
            return span
        return header_fields(await self.read(*span), part, frozenset(section.fields))


def _cut(found: Span | bytes, partial: tuple[int, int] | None) -> Span | bytes:
    if partial is None:
        return found
    first, count = partial
    if isinstance(found, bytes):
        return found[first : first + count]
    start = min(found[0] + first, found[1])
    return start, min(start + count, found[1])


async def write_batch(session: Session, plan: Plan, batch: MessageBatch, seen: Container[int]) -> RoostError | None:
    """The rows of a batch with sections. ``seen``: UIDs whose row tells the flags. Returns the first failure, if any.

    A message that cannot be read is left out; one that fails in the middle of a large literal ends the connection.
    """
    view, client = session.selected, session.client
    limits = session.shared.mime_limits
    contents = batch.contents
    assert contents is not None
    failure = None
    whole = plan.whole
    plain, told = plan.row, plan.seen_row
    with_flags = list(rows.cells(view, batch, told)) if seen and told is not plain else None
    for at, values in enumerate(rows.cells(view, batch, plain)):
        uid = batch.uids[at]
        content = contents[at]
        tells_flags = with_flags is not None and uid in seen
        if with_flags is not None and tells_flags:
            values = with_flags[at]
        try:
            if whole is not None and content.size_octets <= WHOLE_OCTETS:
                data = await content.read()
                client.write(b"%b%b)\r\n" % (whole[tells_flags] % (*values, len(data)), data))
                session.counters.body_count += 1
                session.counters.body_octets += len(data)
            else:
                text = b"* %d FETCH (" + (told if tells_flags else plain).text
                await _write_message(session, plan, Source(view, uid, content, limits), text % values)
        except RoostError as exc:
            if client.closed():
                raise
            failure = failure or exc
        if client.due():
            await client.turn()
    return failure


async def write_one(session: Session, plan: Plan, batch: MessageBatch, seq: int) -> None:
    """BODY[] of the one message of a batch. Raises RoostError, with nothing written or the connection ended."""
    assert batch.contents is not None and plan.whole is not None
    content = batch.contents[0]
    if content.size_octets > WHOLE_OCTETS:
        failure = await write_batch(session, plan, batch, ())
        if failure is not None:
            raise failure
        return
    data = await content.read()
    values = [rows.COLUMNS[column](session.selected, batch)[0] for column in plan.row.columns]
    session.client.write(b"%b%b)\r\n" % (plan.whole[0] % (seq, *values, len(data)), data))
    counters = session.counters
    counters.body_count += 1
    counters.body_octets += len(data)


async def _write_message(session: Session, plan: Plan, source: Source, start: bytes) -> None:
    """One row; nothing is written before the last section is known to be there."""
    counters = session.counters
    pieces = [start]
    gap = b"" if start.endswith(b"(") else b" "
    for item in plan.sections:
        found = _cut(await source.section(item), item.partial)
        if isinstance(found, bytes):
            pieces.append(b"%b%b {%d}\r\n%b" % (gap, item.label, len(found), found))
            counters.hdr_count += 1
            counters.hdr_octets += len(found)
        else:
            low, high = found
            head = b"%b%b {%d}\r\n" % (gap, item.label, high - low)
            counters.body_count += 1
            counters.body_octets += high - low
            if high - low > WHOLE_OCTETS:
                await _stream(session, source, b"".join(pieces) + head, low, high)
                pieces.clear()
            else:
                pieces += (head, await source.read(low, high))
        gap = b" "
    pieces.append(b")\r\n")
    session.write(b"".join(pieces))


async def _stream(session: Session, source: Source, head: bytes, low: int, high: int) -> None:
    """A large literal, piece by piece. Once its size is announced a failure can only end the connection."""
    client = session.client
    at = low
    while at < high:
        try:
            piece = await source.read(at, min(at + WHOLE_OCTETS, high))
            if not piece:
                raise RoostError("Message ended early", detail=f"uid {source.uid} at octet {at} of {source.size}")
        except RoostError:
            if at > low:
                session.end("Message could not be read to its end")
            raise
        if at == low:
            session.write(head)
        session.write(piece)
        at += len(piece)
        await client.turn()
