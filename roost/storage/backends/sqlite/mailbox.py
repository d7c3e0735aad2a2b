"""A handle to one mailbox: ``roost.storage.api.Mailbox`` over a ``Store``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from roost.errors import NoSuchMailbox
from roost.imap.search_keys import Criteria
from roost.storage import names
from roost.storage.api import (
    DELETED,
    AppendResult,
    Changes,
    CopyResult,
    ExpungeResult,
    FetchRequest,
    Flags,
    FlagsOp,
    MailboxInfo,
    MailboxState,
    MailboxStatus,
    MessageBatch,
    NewMessage,
    SearchResult,
    Snapshot,
    StoreResult,
)
from roost.storage.backends.sqlite.append import Append
from roost.storage.backends.sqlite.box import Box
from roost.storage.backends.sqlite.copy import copy, plan_copy
from roost.storage.backends.sqlite.expunge import expunge
from roost.storage.backends.sqlite.fetch import Fetch
from roost.storage.backends.sqlite.flags import Wish, plan_written, store_inline, store_written
from roost.storage.backends.sqlite.store import TAIL_OF_BOX, Store
from roost.storage.backends.sqlite.transaction import Transaction, entry_of
from roost.storage.columns import Columns
from roost.storage.journal import changes_since
from roost.storage.search import search
from roost.util.ranges import EMPTY, Ranges

if TYPE_CHECKING:
    from roost.storage.backends.sqlite.user import SqliteUser


CLAIM_ROUNDS = 10  # as often as mail may come in while the view claims what came before


class SqliteMailbox:
    """``number`` is all that is kept; the rest is looked up, so that a handle outlives any change."""

    __slots__ = ("_name", "_number", "_store", "_user", "id")

    def __init__(self, user: SqliteUser, box: Box) -> None:
        self._user = user
        self._store: Store = user.store
        self._number = box.number
        self._name = box.name
        self.id = box.id

    @property
    def name(self) -> str:
        box = self._store.boxes.get(self._number)
        if box is not None:
            self._name = box.name
        return self._name

    async def _open(self) -> Box:
        """The mailbox, up to date. Raises NoSuchMailbox, Unavailable, Corrupt."""
        store = self._store
        if not store.ready:
            await store.open()
        store.refresh()
        return store.box(self._number)

    async def info(self) -> MailboxInfo:
        box = await self._open()
        children = box.name in names.with_children(self._store.names)
        return box.info(subscribed=box.name in self._store.subscriptions(), has_children=children)

    async def status(self) -> MailboxStatus:
        box = await self._open()
        columns = self._store.columns(box)
        unseen, deleted, _ = columns.counts()
        first_recent, size = self._store.query(
            "SELECT first_recent, size_octets FROM mailbox WHERE id = ?", (self._number,)
        )[0]
        recent = sum([stop - start for start, stop in columns.rows(Ranges.span(first_recent, columns.uidnext - 1))])
        return MailboxStatus(
            messages=len(columns.uids),
            recent=recent,
            uidnext=columns.uidnext,
            uidvalidity=box.uidvalidity,
            unseen=unseen,
            deleted=deleted,
            highest_modseq=columns.modseq,
            size_octets=size,
            append_limit=self._user.append_limit,
            mailbox_id=box.id,
        )

    async def check(self) -> None:
        """The snapshot is renewed when it is behind."""
        box = await self._open()
        columns = self._store.columns(box)
        if box.since_fold:
            self._store.care.fold(box, columns)

    async def rest(self) -> None:
        self._store.backend.rest(self._store)

    async def aclose(self) -> None:
        """Nothing is held."""

    # -- views ------------------------------------------------------------------------------------------------------

    async def select(self, *, read_only: bool, claim_recent: bool) -> Snapshot:
        box = await self._open()
        recent = await self._recent(claim_recent and not read_only)
        columns = self._store.columns(box)
        return Snapshot(
            uidvalidity=box.uidvalidity,
            uidnext=columns.uidnext,
            highest_modseq=columns.modseq,
            uids=columns.uids,
            count=len(columns.uids),
            first_unseen_uid=columns.counts()[2],
            keywords=columns.keywords,
            recent=recent,
            read_only=read_only,
            cursor=columns.modseq,
        )

    async def poll(self, cursor: int, *, claim_recent: bool, own: Collection[int] = ()) -> Changes:
        store = self._store
        if not store.ready:
            await store.open()
        store.refresh()
        box = store.boxes.get(self._number)
        if box is None:
            return _deleted(cursor)
        columns = box.columns
        if columns is None:
            columns = store.columns(box)
        if columns.modseq <= cursor:
            return box.quiet(columns, cursor)
        recent = EMPTY
        if box.first_recent < columns.uidnext:
            try:
                recent = await self._recent(claim_recent)
            except NoSuchMailbox:
                return _deleted(cursor)
            columns = store.columns(box)
        # No wait from here on: one consistent cut.
        entries = []
        for entry in reversed(box.entries):
            if entry.modseq <= cursor:
                break
            entries.append(entry)
        entries.reverse()
        if cursor < box.entries_after:
            trimmed = store.query("SELECT trimmed FROM mailbox WHERE id = ?", (self._number,))
            if not trimmed or trimmed[0][0] > cursor:
                return changes_since(columns, (), columns.modseq, own, EMPTY, MailboxState.TOO_OLD)
            rows = store.query(TAIL_OF_BOX, (cursor, columns.modseq, self._number))
            entries = [entry_of(*row) for row in rows]
        return changes_since(columns, entries, columns.modseq, own, recent)

    async def _recent(self, claim: bool) -> Ranges:
        """The UIDs this view may show as \\Recent: the unclaimed ones, with ``claim`` taken for it.

        The mailbox is up to date afterwards, and with ``claim`` nothing in it is unclaimed.
        """
        store = self._store
        box = store.box(self._number)
        columns = store.columns(box)
        recent = EMPTY
        if not claim:
            if box.first_recent < columns.uidnext:
                rows = store.query("SELECT first_recent FROM mailbox WHERE id = ?", (self._number,))
                box.first_recent = rows[0][0] if rows else columns.uidnext
                recent = Ranges.span(box.first_recent, columns.uidnext - 1)
        else:
            for _ in range(CLAIM_ROUNDS):
                uidnext = columns.uidnext
                if box.first_recent >= uidnext:
                    break
                recent = recent | Ranges.span(await store.claim(self._number, uidnext), uidnext - 1)
                box = await self._open()
                box.first_recent = max(box.first_recent, uidnext)
                columns = store.columns(box)
        return columns.present(recent)

    # -- reading ----------------------------------------------------------------------------------------------------

    async def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]:
        box = await self._open()
        fetch = Fetch(self._store, box, request)
        pairs = uids.pairs
        if len(pairs) == 1 and pairs[0][0] == pairs[0][1]:
            one = fetch.one(pairs[0][0])
            if one is not None:
                yield one
            return
        async for batch in fetch.batches(uids):
            yield batch

    async def search_messages(self, criteria: Criteria, within: Ranges | None = None) -> SearchResult:
        columns = self._store.columns(await self._open())
        return await search(self, columns, criteria, within, self._store.backend.mime_limits)

    # -- changing ---------------------------------------------------------------------------------------------------

    async def create_messages(self, messages: Sequence[NewMessage]) -> AppendResult:
        store = self._store
        if not messages:
            return AppendResult((await self._open()).uidvalidity, EMPTY, 0)
        if not store.ready:
            await store.open()
        job = Append(self._number, messages, store.blobs, store.backend.limits, store.backend.mime_limits)
        result = await store.submit(job.run, prepare=job.prepare, undo=job.undo, appends=True)
        store.care.derive_later(job.fresh)
        store.care.appended(self._number, result.uids)
        return result

    async def update_messages_flags(
        self, uids: Ranges, op: FlagsOp, flags: Flags, *, unchanged_since: int | None = None
    ) -> StoreResult:
        store = self._store
        if not store.ready:
            await store.open()
        wish = Wish(uids, op, flags, unchanged_since)
        limits = store.backend.limits
        if limits.mail_fsync != "always":
            result = store_inline(store, self._number, wish)
            if result is not None:
                return result
        number = self._number
        result = await store.change(
            await self._open(),
            lambda columns: plan_written(columns, wish, limits),
            lambda tx, plan: store_written(tx, number, op, plan),
        )
        assert isinstance(result, StoreResult)
        return result

    async def copy_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return await self._copy(uids, dest, move=False)

    async def move_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return await self._copy(uids, dest, move=True)

    async def _copy(self, uids: Ranges, dest: str, *, move: bool) -> CopyResult:
        box = await self._open()
        target = self._store.names.get(names.canonical(dest))
        if target is None or not target.selectable:
            raise NoSuchMailbox("Mailbox doesn't exist")
        number, limits, dest_number = self._number, self._store.backend.limits, target.number
        result = await self._store.change(
            box,
            lambda columns: plan_copy(columns, uids),
            lambda tx, plan: copy(tx, number, plan, dest_number, limits, move=move),
        )
        assert isinstance(result, CopyResult)
        return result

    async def expunge(self, uids: Ranges | None = None) -> ExpungeResult:
        box = await self._open()
        number = self._number

        def run(tx: Transaction, gone: Ranges) -> ExpungeResult:
            return ExpungeResult(gone, expunge(tx, number, gone))

        result = await self._store.change(box, lambda columns: columns.with_flag(DELETED, uids) or None, run)
        if result is None:
            return ExpungeResult(EMPTY, 0)
        assert isinstance(result, ExpungeResult)
        self._store.care.collect_soon()
        return result


def _deleted(cursor: int) -> Changes:
    return changes_since(Columns(), (), cursor, (), EMPTY, MailboxState.DELETED)
