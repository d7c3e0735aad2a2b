"""From what a client asks to the steps that do it; nothing is changed here."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence

from roost.errors import NoSuchMailbox
from roost.storage import flagbits, names
from roost.storage.api import FlagsOp, NewMessage
from roost.storage.limits import Limits
from roost.storage.message import with_crlf
from roost.storage.simple.account import Account, Box
from roost.storage.simple.steps import (
    Append,
    Create,
    Delete,
    Expunge,
    Keywords,
    Message,
    Rename,
    Step,
    Store,
    Subscribe,
)
from roost.util.ranges import Ranges


class Planner:
    """Gives out modseqs, ids and UIDVALIDITYs for one change."""

    def __init__(self, account: Account, limits: Limits, now: int) -> None:
        self.account = account
        self.limits = limits
        self.now = now
        self.modseq = account.modseq
        self.uidvalidity = account.uidvalidity

    def next_modseq(self) -> int:
        self.modseq += 1
        return self.modseq

    def next_uidvalidity(self) -> int:
        self.uidvalidity = max(self.uidvalidity + 1, self.now)
        return self.uidvalidity

    # -- mailboxes --------------------------------------------------------------------------------------------------

    def first_mailboxes(self) -> list[Step]:
        """INBOX and the configured ones, for a new user."""
        steps: list[Step] = [self._create(names.INBOX, ""), Subscribe(self.next_modseq(), names.INBOX, True)]
        made = {names.INBOX}
        for auto in self.limits.mailboxes:
            name = names.check(auto.name, self.limits)
            if name in made:
                continue
            for each in names.to_create(made, name, self.limits):
                steps.append(self._create(each, auto.special_use if each == name else ""))
                made.add(each)
            if auto.subscribe:
                steps.append(Subscribe(self.next_modseq(), name, True))
        return steps

    def create(self, name: str, special_use: Collection[str]) -> list[Step]:
        name = names.check(name, self.limits)
        uses = " ".join(sorted(special_use))
        wanted = names.to_create(self.account.names.keys(), name, self.limits)
        return [self._create(each, uses if each == name else "") for each in wanted]

    def _create(self, name: str, special_use: str) -> Create:
        modseq = self.next_modseq()
        return Create(modseq, f"{modseq:x}", name, self.next_uidvalidity(), special_use)

    def delete(self, name: str) -> list[Step]:
        name = names.canonical(name)
        what = names.to_delete(self.account.all_names, self.account.noselect, name)
        return [Delete(self.next_modseq(), self.account.names[name].id, what.keep_name)]

    def rename(self, existing: str, new: str) -> list[Step]:
        existing, new = names.canonical(existing), names.check(new, self.limits)
        account = self.account
        if existing == names.INBOX:
            return self._rename_inbox(new)
        what = names.to_rename(account.all_names, account.noselect, existing, new, self.limits)
        steps: list[Step] = [self._create(parent, "") for parent in what.create]
        for old, target in what.pairs:
            box = account.names.get(old)
            if box is None:
                continue  # a \Noselect name exists through its children
            uidvalidity = box.uidvalidity
            if account.name_history.get(target, 0) > uidvalidity:
                uidvalidity = self.next_uidvalidity()
            steps.append(Rename(self.next_modseq(), box.id, target, uidvalidity))
        return steps

    def _rename_inbox(self, new: str) -> list[Step]:
        inbox = self.account.names[names.INBOX]
        steps: list[Step] = [
            self._create(each, "") for each in names.to_create(self.account.names.keys(), new, self.limits)
        ]
        target = steps[-1]
        assert isinstance(target, Create)
        uids = Ranges.of_sorted(inbox.columns.uids)
        if uids:
            if inbox.columns.keywords:
                steps.append(Keywords(self.next_modseq(), target.mailbox, inbox.columns.keywords))
            steps.append(self._copies(inbox, uids, target.mailbox, 1, inbox.columns.keywords))
            steps.append(Expunge(self.next_modseq(), inbox.id, uids))
        return steps

    def subscribe(self, name: str, subscribed: bool) -> list[Step]:
        name = names.check(name, self.limits) if subscribed else names.canonical(name)
        if (name in self.account.subscriptions) == subscribed:
            return []
        return [Subscribe(self.next_modseq(), name, subscribed)]

    # -- messages ---------------------------------------------------------------------------------------------------

    def append(self, box: Box, messages: Sequence[NewMessage]) -> list[Step]:
        steps: list[Step] = []
        table = box.columns.keywords
        for message in messages:
            table = flagbits.add_keywords(table, message.flags.keywords, self.limits)
        self._grow(box, table, steps)
        modseq = self.next_modseq()
        stored = []
        for n, message in enumerate(messages):
            date = self.now if message.internal_date is None else message.internal_date
            stored.append(Message(with_crlf(message.upload.data()), date, self.now, f"{modseq:x}.{n:x}"))
        low = box.columns.uidnext
        masks = tuple([flagbits.mask_of(table, message.flags) for message in messages])
        steps.append(Append(modseq, box.id, Ranges.span(low, low + len(stored) - 1), masks, tuple(stored)))
        return steps

    def store(self, box: Box, uids: Ranges, op: FlagsOp, mask: int, table: tuple[str, ...]) -> list[Step]:
        """``uids`` are those that really change."""
        steps: list[Step] = []
        self._grow(box, table, steps)
        if uids:
            steps.append(Store(self.next_modseq(), box.id, uids, op.value, mask))
        return steps

    def copy(self, box: Box, uids: Ranges, dest: str, move: bool) -> tuple[Box, list[Step]]:
        """``uids`` exist. A move is the copy and the expunge in one change."""
        target = self.account.names.get(names.canonical(dest))
        if target is None:
            raise NoSuchMailbox("Mailbox doesn't exist")
        if not uids:
            return target, []
        steps: list[Step] = []
        used = 0
        for mask in set(box.columns.column_slices(box.columns.flags, box.columns.rows(uids))):
            used |= mask
        wanted = flagbits.names_in(box.columns.keywords, used)
        table = flagbits.add_keywords(target.columns.keywords, wanted, self.limits)
        self._grow(target, table, steps)
        steps.append(self._copies(box, uids, target.id, target.columns.uidnext, table))
        if move:
            steps.append(Expunge(self.next_modseq(), box.id, uids))
        return target, steps

    def _copies(self, box: Box, uids: Ranges, dest: str, uidnext: int, table: tuple[str, ...]) -> Append:
        columns = box.columns
        masks: array[int] = columns.column_slices(columns.flags, columns.rows(uids))
        masks = flagbits.remap(masks, columns.keywords, table)
        messages = []
        for uid in uids:
            old = box.records[uid].message
            messages.append(Message(old.data, old.internal_date, self.now, old.email_id))
        dest_uids = Ranges.span(uidnext, uidnext + len(messages) - 1)
        return Append(self.next_modseq(), dest, dest_uids, tuple(masks), tuple(messages))

    def expunge(self, box: Box, uids: Ranges) -> list[Step]:
        return [Expunge(self.next_modseq(), box.id, uids)] if uids else []

    def _grow(self, box: Box, table: tuple[str, ...], steps: list[Step]) -> None:
        if table != box.columns.keywords:
            steps.append(Keywords(self.next_modseq(), box.id, table))
