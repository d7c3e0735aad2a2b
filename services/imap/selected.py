"""The client's own view of its selected mailbox: sequence numbers, and what it has been told. PURE.

Sequence numbers exist here and nowhere else (RFC 9051 §2.3.1.2). A view is an ascending array of UIDs, shared with the
store as long as both agree, and a count: the message with sequence number n is ``uids[n - 1]``. Commands name messages
by number or UID; ``rows`` and ``uid_rows`` turn either into half-open row ranges, ``uids_of`` turns those into the UIDs
that a store understands. Only messages the client knows of can be reached: nobody deletes mail he has not been shown.

``apply`` takes what the store says has happened (``Changes``), and yields the untagged replies that tell it:

    FLAGS and PERMANENTFLAGS if keywords are new · FETCH of changed flags · EXPUNGE (if allowed), descending ·
    EXISTS and RECENT if either changed

When expunges are not allowed (RFC 9051 §7.5.1: in answer to FETCH, STORE, SEARCH by number) the messages stay in the
view as ``gone``; new ones are announced after them all the same, so EXISTS never falls. Nothing else is ever pending:
changes are pulled only at a moment when they can be written, which bounds the memory whatever other sessions do.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from roost.errors import Malformed
from roost.imap.flags import RECENT, FlagTexts, flags_row, permanent_flags
from roost.imap.seqset import INVALID_SET, SeqSet, resolve
from roost.mime.parts import Part
from roost.storage.api import MAX_KEYWORDS, Changes, Mailbox, Snapshot, StoreResult
from roost.util.ranges import EMPTY, Ranges, rows_of

CHUNK_ROWS = 512
"""Replies are formatted this many rows at a time: the unit of joining, of fairness and of memory."""

Rows = list[tuple[int, int]]
"""Ascending half-open row ranges ``(start, stop)``; row = sequence number - 1."""


@lru_cache(maxsize=1024)
def flag_texts(keywords: tuple[str, ...]) -> FlagTexts:
    """The texts of a keyword table, shared by every view of every mailbox that has the same."""
    return FlagTexts(keywords)


class View:
    """One selected mailbox as one client sees it. See the head of this file."""

    __slots__ = (
        "count",
        "cursor",
        "gone",
        "highest_modseq",
        "keywords",
        "mailbox",
        "own",
        "parsed",
        "read_only",
        "recent",
        "stepped",
        "texts",
        "told_recent",
        "uids",
        "uidvalidity",
    )

    def __init__(self, mailbox: Mailbox, snapshot: Snapshot) -> None:
        self.mailbox = mailbox
        self.uids: array[int] = snapshot.uids
        self.count = snapshot.count
        self.uidvalidity = snapshot.uidvalidity
        self.highest_modseq = snapshot.highest_modseq
        self.read_only = snapshot.read_only
        self.recent = snapshot.recent
        self.told_recent = len(snapshot.recent)
        self.cursor = snapshot.cursor
        self.keywords = snapshot.keywords
        self.texts: FlagTexts = flag_texts(snapshot.keywords)
        self.parsed: tuple[int, Part] | None = None  # structure of the message last looked into, by UID
        self.gone = EMPTY  # expunged in the store, not yet told
        self.own: list[int] = []  # modseqs of changes this session made and has already answered
        self.stepped = False  # this command's own change was the last one: nothing else can be told after it

    # ---- from what the client names to rows and UIDs

    def rows(self, wanted: SeqSet) -> Rows:
        """The rows of a sequence set. Raises Malformed for numbers that do not exist."""
        count = self.count
        pairs = resolve(wanted, count).pairs
        if not pairs or pairs[-1][1] > count:
            raise Malformed(INVALID_SET)
        return [(low - 1, high) for low, high in pairs]

    def known_rows(self, wanted: SeqSet) -> Rows:
        """The rows of a sequence set in SEARCH: numbers that do not exist match nothing."""
        count = self.count
        pairs = resolve(wanted, count).pairs
        return [(low - 1, min(high, count)) for low, high in pairs if low <= count]

    def uid_rows(self, wanted: SeqSet) -> Rows:
        """The rows of a UID set: unknown UIDs are left out, ``n:*`` always names the last message."""
        count = self.count
        if not count:
            return []
        return rows_of(resolve(wanted, self.uids[count - 1]), self.uids, count)

    def uids_of(self, rows: Rows) -> Ranges:
        """UID ranges that hold the messages of ``rows`` and no others of the view."""
        uids = self.uids
        if len(rows) == 1:
            start, stop = rows[0]
            return Ranges.span(uids[start], uids[stop - 1])
        return Ranges([(uids[start], uids[stop - 1]) for start, stop in rows])

    def all_uids(self) -> Ranges:
        """A range that holds every message of the view and none that the client has not been told of."""
        return Ranges.span(self.uids[0], self.uids[self.count - 1]) if self.count else EMPTY

    # ---- from UIDs to sequence numbers

    def seqs(self, uids: Sequence[int]) -> Sequence[int]:
        """The sequence numbers of ascending, known ``uids``; a ``range`` when they follow one another here."""
        if not uids:
            return ()
        mine, count, last = self.uids, self.count, len(uids) - 1
        at = bisect_left(mine, uids[0], 0, count)
        if at + last < count and mine[at + last] == uids[last]:
            return range(at + 1, at + last + 2)
        out = []
        for uid in uids:
            at = bisect_left(mine, uid, at, count)
            out.append(at + 1)
        return out

    # ---- flags

    def flags_of(self, uids: Sequence[int], flags: Sequence[int]) -> Sequence[bytes]:
        """The flag lists of messages, wire-ready, \\Recent included; parallel to ascending ``uids``."""
        texts = self.texts
        recent = self.recent.pairs
        if not uids or not recent or recent[0][0] > uids[-1] or recent[-1][1] < uids[0]:
            return list(map(texts.__getitem__, flags))
        if len(recent) == 1 and recent[0][0] <= uids[0] and recent[0][1] >= uids[-1]:
            return [texts[mask | RECENT] for mask in flags]
        mine = self.recent
        return [texts[mask | RECENT if uid in mine else mask] for uid, mask in zip(uids, flags, strict=True)]

    def learn_keywords(self, keywords: tuple[str, ...]) -> bytes:
        """Take a grown keyword table; the FLAGS and PERMANENTFLAGS replies that announce it, or nothing."""
        if len(keywords) <= len(self.keywords):
            return b""
        self.keywords = keywords
        self.texts = flag_texts(keywords)
        return self.flags_reply()

    def flags_reply(self) -> bytes:
        """``* FLAGS`` and ``* OK [PERMANENTFLAGS]`` of SELECT."""
        keywords = self.keywords
        permanent = permanent_flags(keywords, writable=not self.read_only, may_grow=len(keywords) < MAX_KEYWORDS)
        text = b"Read-only mailbox." if self.read_only else b"Flags permitted."
        return b"* FLAGS %b\r\n* OK [PERMANENTFLAGS %b] %b\r\n" % (flags_row(keywords), permanent, text)

    # ---- what happened meanwhile

    def made(self, result: StoreResult) -> None:
        """This session has changed flags; the client is told of it by whoever calls."""
        cursors = result.cursors
        if cursors is not None and cursors[0] == self.cursor:
            self.cursor = cursors[1]
            self.highest_modseq = result.modseq
            self.stepped = not self.gone
        elif result.modseq:
            self.own.append(result.modseq)
            self.stepped = False

    def flag_row(self, uid: int, mask: int, *, by_uid: bool) -> bytes:
        """``* n FETCH (FLAGS …)`` of one message."""
        seq = bisect_left(self.uids, uid, 0, self.count) + 1
        text = self.texts[mask | RECENT if uid in self.recent else mask]
        return (
            b"* %d FETCH (UID %d FLAGS %b)\r\n" % (seq, uid, text)
            if by_uid
            else b"* %d FETCH (FLAGS %b)\r\n" % (seq, text)
        )

    def flag_rows(
        self,
        uids: Sequence[int],
        flags: Sequence[int],
        *,
        by_uid: bool,
        modseqs: Sequence[int] | None,
    ) -> Iterator[bytes]:
        """``* n FETCH (FLAGS …)`` for messages of the view, in chunks. ``modseqs``: add MODSEQ (CONDSTORE is on)."""
        row = b"* %%d FETCH (%bFLAGS %%b%b)\r\n" % (
            b"UID %d " if by_uid else b"",
            b" MODSEQ (%d)" if modseqs is not None else b"",
        )
        for start in range(0, len(uids), CHUNK_ROWS):
            stop = start + CHUNK_ROWS
            some = uids[start:stop]
            columns: list[Sequence[object]] = [self.seqs(some)]
            if by_uid:
                columns.append(some)
            columns.append(self.flags_of(some, flags[start:stop]))
            if modseqs is not None:
                columns.append(modseqs[start:stop])
            yield row * len(some) % tuple(chain.from_iterable(zip(*columns, strict=True)))

    def apply(self, changes: Changes, *, expunge: bool, by_uid: bool, condstore: bool) -> Iterator[bytes]:
        """Make the view what it is at ``changes.cursor`` and yield the replies that tell the client, in chunks.

        The iterator must be run to its end. ``expunge``: EXPUNGE may be sent now. ``by_uid``: FETCH replies carry UID.
        """
        self.cursor = changes.cursor
        self.highest_modseq = changes.highest_modseq
        self.own.clear()
        if len(changes.keywords) > len(self.keywords):
            yield self.learn_keywords(changes.keywords)
        if changes.recent:
            self.recent = self.recent | changes.recent
        if changes.changed_uids:
            yield from self.flag_rows(
                changes.changed_uids,
                changes.changed_flags,
                by_uid=by_uid,
                modseqs=changes.changed_modseqs if condstore else None,
            )
        if changes.vanished:
            self.gone = self.gone | changes.vanished
        told = self.count
        if self.gone and expunge:
            for low, high in reversed(rows_of(self.gone, self.uids, told)):
                for stop in range(high, low, -CHUNK_ROWS):
                    start = max(low, stop - CHUNK_ROWS)
                    yield b"* %d EXPUNGE\r\n" * (stop - start) % tuple(range(stop, start, -1))
                told -= high - low
            self.recent = self.recent - self.gone
            self.gone = EMPTY
        if not self.gone:
            self.uids, self.count = changes.uids, changes.count
        elif changes.new:
            self.uids = self.uids[: self.count] + array(self.uids.typecode, changes.new)
            self.count = len(self.uids)
        recents = len(self.recent)
        if self.count > told:
            yield b"* %d EXISTS\r\n* %d RECENT\r\n" % (self.count, recents)
        elif recents != self.told_recent:
            yield b"* %d RECENT\r\n" % recents
        self.told_recent = recents
