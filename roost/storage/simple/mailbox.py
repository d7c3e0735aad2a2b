"""A handle to one mailbox of a ``SimpleBackend``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from roost.errors import NoSuchMailbox
from roost.imap.search_keys import Criteria
from roost.mime.header import select_fields
from roost.storage import flagbits
from roost.storage.api import (
    DELETED,
    AppendResult,
    Changes,
    CopyResult,
    ExpungeResult,
    FetchRequest,
    Flags,
    FlagsOp,
    Items,
    MailboxInfo,
    MailboxState,
    MailboxStatus,
    MessageBatch,
    NewMessage,
    SearchResult,
    Snapshot,
    StoreResult,
)
from roost.storage.journal import changes_since, unchanged
from roost.storage.message import Derived, derive, mime_limits
from roost.storage.search import search
from roost.storage.simple.account import Box, Record
from roost.storage.simple.steps import Append, Claim, Step
from roost.util.ranges import EMPTY, Ranges

if TYPE_CHECKING:
    from roost.storage.simple.backend import SimpleUser

BATCH = 256


class MemoryBody:
    """The octets of a message that is in memory anyway."""

    __slots__ = ("_data", "size_octets")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_octets = len(data)

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        return self._data if start == 0 and stop is None else self._data[start:stop]


class SimpleMailbox:
    """See ``roost.storage.api.Mailbox``."""

    def __init__(self, user: SimpleUser, box: Box) -> None:
        self.user = user
        self._box = box
        self.id = box.id

    @property
    def name(self) -> str:
        return self._box.name

    @property
    def box(self) -> Box:
        if self._box.deleted:
            raise NoSuchMailbox("Mailbox doesn't exist any more")
        return self._box

    async def info(self) -> MailboxInfo:
        return self.user.account.info(self.box.name)

    async def status(self) -> MailboxStatus:
        box = self.box
        unseen, deleted, _ = box.columns.counts()
        return MailboxStatus(
            messages=len(box.columns.uids),
            recent=box.recent,
            uidnext=box.columns.uidnext,
            uidvalidity=box.uidvalidity,
            unseen=unseen,
            deleted=deleted,
            highest_modseq=box.columns.modseq,
            size_octets=sum(len(record.message.data) for record in box.records.values()),
            append_limit=self.user.append_limit,
            mailbox_id=box.id,
        )

    async def check(self) -> None:
        """Nothing to do."""

    async def rest(self) -> None:
        """Nothing is dear to hold."""

    async def aclose(self) -> None:
        """Nothing is held."""

    # -- views ------------------------------------------------------------------------------------------------------

    async def select(self, *, read_only: bool, claim_recent: bool) -> Snapshot:
        box = self.box
        columns = box.columns
        return Snapshot(
            uidvalidity=box.uidvalidity,
            uidnext=columns.uidnext,
            highest_modseq=columns.modseq,
            uids=columns.uids,
            count=len(columns.uids),
            first_unseen_uid=columns.counts()[2],
            keywords=columns.keywords,
            recent=self._recent(claim_recent and not read_only),
            read_only=read_only,
            cursor=columns.modseq,
        )

    def _recent(self, claim: bool) -> Ranges:
        box = self.box
        if box.first_recent >= box.columns.uidnext:
            return EMPTY
        recent = box.columns.present(Ranges.span(box.first_recent, box.columns.uidnext - 1))
        if claim:
            self._change([Claim(box.id, box.columns.uidnext)])
        return recent

    async def poll(self, cursor: int, *, claim_recent: bool, own: Collection[int] = ()) -> Changes:
        box = self._box
        columns = box.columns
        if box.deleted:
            return changes_since(columns, (), cursor, own, EMPTY, MailboxState.DELETED)
        if cursor >= columns.modseq:
            return unchanged(columns, cursor)
        if cursor < box.log_floor:
            return changes_since(columns, (), columns.modseq, own, EMPTY, MailboxState.TOO_OLD)
        entries = [entry for entry in box.log if entry.modseq > cursor]
        return changes_since(columns, entries, columns.modseq, own, self._recent(claim_recent))

    # -- reading ----------------------------------------------------------------------------------------------------

    async def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]:
        wanted: list[int] = []
        columns = self.box.columns
        for start, stop in columns.rows(uids):
            wanted.extend(columns.uids[start:stop])
        for at in range(0, len(wanted), BATCH):
            batch = self._batch(wanted[at : at + BATCH], request)
            if batch.uids:
                yield batch

    def _batch(self, uids: list[int], request: FetchRequest) -> MessageBatch:
        box = self.box
        columns = box.columns
        rows = [row for row in map(columns.row, uids) if row >= 0]
        if request.changed_since is not None:
            rows = [row for row in rows if columns.modseqs[row] > request.changed_since]
        uids = [columns.uids[row] for row in rows]
        records = [box.records[uid] for uid in uids]
        messages = [record.message for record in records]
        items = request.items
        batch = MessageBatch(uids)
        if items & Items.FLAGS:
            batch.flags = [columns.flags[row] for row in rows]
        if items & Items.MODSEQ:
            batch.modseqs = [columns.modseqs[row] for row in rows]
        if items & Items.INTERNAL_DATE:
            batch.internal_dates = [m.internal_date for m in messages]
        if items & Items.SAVE_DATE:
            batch.save_dates = [m.save_date for m in messages]
        if items & Items.SIZE:
            batch.sizes = [len(m.data) for m in messages]
        if items & Items.EMAIL_ID:
            batch.email_ids = [m.email_id for m in messages]
        if items & Items.CONTENT:
            batch.contents = [MemoryBody(m.data) for m in messages]
        if items & (Items.ENVELOPE | Items.BODY | Items.BODYSTRUCTURE):
            derived = [self._derived(record) for record in records]
            batch.envelopes = [d.envelope for d in derived]
            batch.bodies = [d.body for d in derived]
            batch.bodystructures = [d.bodystructure for d in derived]
        if request.header_fields is not None:
            wanted = frozenset(request.header_fields)
            batch.headers = [select_fields(m.data, wanted) for m in messages]
        return batch

    def _derived(self, record: Record) -> Derived:
        if record.derived is None:
            record.derived = derive(record.message.data, mime_limits(self.user.backend.limits))
        return record.derived

    async def search_messages(self, criteria: Criteria, within: Ranges | None = None) -> SearchResult:
        return await search(self, self.box.columns, criteria, within, mime_limits(self.user.backend.limits))

    # -- changing ---------------------------------------------------------------------------------------------------

    def _change(self, steps: Sequence[Step]) -> int:
        """Do them; the modseq of the last one."""
        self.user.change(steps)
        return 0 if not steps or isinstance(steps[-1], Claim) else steps[-1].modseq

    async def create_messages(self, messages: Sequence[NewMessage]) -> AppendResult:
        box = self.box
        if not messages:
            return AppendResult(box.uidvalidity, EMPTY, 0)
        steps = self.user.planner().append(box, messages)
        modseq = self._change(steps)
        last = steps[-1]
        assert isinstance(last, Append)
        return AppendResult(box.uidvalidity, last.uids, modseq)

    async def update_messages_flags(
        self, uids: Ranges, op: FlagsOp, flags: Flags, *, unchanged_since: int | None = None
    ) -> StoreResult:
        box = self.box
        columns = box.columns
        table = columns.keywords
        if op is not FlagsOp.REMOVE:
            table = flagbits.add_keywords(table, flags.keywords, self.user.backend.limits)
        mask = flagbits.mask_of(table, flags)
        plan = columns.plan_store(uids, op, mask, unchanged_since)
        if not plan.changed:
            table = columns.keywords
        modseq = self._change(self.user.planner().store(box, plan.changed, op, mask, table))
        return StoreResult(
            modseq=modseq,
            changed_uids=columns.column_slices(columns.uids, plan.rows) if plan.rows else (),
            changed_flags=columns.column_slices(columns.flags, plan.rows) if plan.rows else (),
            conflicts=plan.conflicts,
            missing=plan.missing,
            keywords=columns.keywords,
        )

    async def copy_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return self._copy(uids, dest, move=False)

    async def move_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return self._copy(uids, dest, move=True)

    def _copy(self, uids: Ranges, dest: str, *, move: bool) -> CopyResult:
        uids = self.box.columns.present(uids)
        target, steps = self.user.planner().copy(self.box, uids, dest, move)
        modseq = self._change(steps)
        copied = next((step.uids for step in steps if isinstance(step, Append)), EMPTY)
        return CopyResult(target.uidvalidity, uids, copied, modseq)

    async def expunge(self, uids: Ranges | None = None) -> ExpungeResult:
        gone = self.box.columns.with_flag(DELETED, uids)
        modseq = self._change(self.user.planner().expunge(self.box, gone))
        return ExpungeResult(gone, modseq)
