"""One user's mail in memory, changed by steps only: the same steps in the same order give the same account."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from roost.storage import names
from roost.storage.api import Kind as Hint
from roost.storage.api import MailboxInfo, Update
from roost.storage.columns import Columns
from roost.storage.journal import Entry, Kind, mask_octets, masks_octets
from roost.storage.message import Derived
from roost.storage.simple.steps import (
    Append,
    Claim,
    Create,
    Delete,
    Keywords,
    Message,
    Rename,
    Step,
    Store,
    Subscribe,
)
from roost.util.ranges import EMPTY, Ranges

LOG_ENTRIES = 4096  # of each mailbox, for views to catch up with; an older cursor is TOO_OLD

STORE_KINDS = {"add": Kind.ADD, "remove": Kind.REMOVE, "set": Kind.SET}


@dataclass(slots=True)
class Record:
    """A message and what was worked out from it, shared by its copies."""

    message: Message
    derived: Derived | None = None


@dataclass(slots=True)
class Box:
    """One mailbox, also after its deletion (``deleted``), since handles and views may still hold it."""

    id: str
    name: str
    uidvalidity: int
    special_use: str
    columns: Columns
    first_recent: int = 1
    deleted: bool = False
    records: dict[int, Record] = field(default_factory=dict)
    log: deque[Entry] = field(default_factory=deque)
    log_floor: int = 0  # entries up to this modseq may be missing from the log

    @property
    def recent(self) -> int:
        """How many messages nobody has claimed as \\Recent."""
        low = self.first_recent
        return sum(stop - start for start, stop in self.columns.rows(_from(low)))


def _from(low: int) -> Ranges:
    return Ranges.span(low, (1 << 32) - 1)


class Account:
    """All mailboxes of a user. ``apply`` is the only way to change it."""

    def __init__(self, username: str) -> None:
        self.username = username
        self.modseq = 0
        self.uidvalidity = 0  # the greatest given out
        self.boxes: dict[str, Box] = {}  # by id
        self.names: dict[str, Box] = {}  # selectable ones by name
        self.noselect: set[str] = set()
        self.subscriptions: set[str] = set()
        self.name_history: dict[str, int] = {}  # name -> greatest UIDVALIDITY it had

    @property
    def all_names(self) -> set[str]:
        return self.names.keys() | self.noselect

    def info(self, name: str, parents: set[str] | None = None) -> MailboxInfo:
        """The LIST row of a mailbox, of a \\Noselect name, or of a name that does not exist."""
        box = self.names.get(name)
        if box is not None:
            attributes = frozenset(box.special_use.split())
        else:
            attributes = frozenset({"\\Noselect" if name in self.noselect else "\\NonExistent"})
        children = name in (parents if parents is not None else names.with_children(self.all_names))
        return MailboxInfo(
            name=name,
            id=box.id if box else "",
            attributes=attributes,
            subscribed=name in self.subscriptions,
            has_children=children,
        )

    # -- changing ---------------------------------------------------------------------------------------------------

    def apply(self, steps: Iterable[Step]) -> list[Update]:
        """Take over one change; returns the hints to publish."""
        hints = []
        for step in steps:
            hint = self._apply(step)
            if hint is not None:
                hints.append(hint)
        return hints

    def _apply(self, step: Step) -> Update | None:
        if isinstance(step, Claim):
            self.boxes[step.mailbox].first_recent = step.first_recent
            return None
        self.modseq = max(self.modseq, step.modseq)
        if isinstance(step, Subscribe):
            (self.subscriptions.add if step.subscribed else self.subscriptions.discard)(step.name)
            return Update(self.username, "", step.modseq, Hint.SUBSCRIPTION)
        if isinstance(step, Create):
            return self._create(step)
        box = self.boxes[step.mailbox]
        if isinstance(step, Delete):
            return self._delete(box, step)
        if isinstance(step, Rename):
            return self._rename(box, step)
        if isinstance(step, Append):
            for uid, message in zip(step.uids, step.messages, strict=True):
                box.records[uid] = self._record(message)
            data = masks_octets(array("Q", step.masks))
            return self._log(box, Entry(step.modseq, Kind.APPEND, step.uids, data), Hint.NEW)
        if isinstance(step, Store):
            entry = Entry(step.modseq, STORE_KINDS[step.op], step.uids, mask_octets(step.mask))
            return self._log(box, entry, Hint.FLAGS)
        if isinstance(step, Keywords):
            self._log(box, Entry(step.modseq, Kind.KEYWORDS, EMPTY, " ".join(step.table).encode()), Hint.FLAGS)
            return None
        hint = self._log(box, Entry(step.modseq, Kind.EXPUNGE, step.uids), Hint.EXPUNGE)
        for uid in step.uids:
            box.records.pop(uid, None)
        return hint

    def _record(self, message: Message) -> Record:
        return Record(message)

    def _log(self, box: Box, entry: Entry, hint: Hint) -> Update:
        box.columns.apply(entry)
        if len(box.log) >= LOG_ENTRIES:
            box.log_floor = box.log.popleft().modseq
        box.log.append(entry)
        return Update(self.username, box.id, entry.modseq, hint)

    def _create(self, step: Create) -> Update:
        box = Box(step.mailbox, step.name, step.uidvalidity, step.special_use, Columns(modseq=step.modseq))
        self.boxes[box.id] = self.names[step.name] = box
        self.noselect.discard(step.name)
        self._remember(step.name, step.uidvalidity)
        return self._log(box, Entry(step.modseq, Kind.CREATE, EMPTY, step.name.encode()), Hint.MAILBOX_LIST)

    def _delete(self, box: Box, step: Delete) -> Update:
        hint = self._log(box, Entry(step.modseq, Kind.DELETE, EMPTY), Hint.MAILBOX_LIST)
        del self.names[box.name]
        del self.boxes[box.id]
        box.deleted = True
        box.records.clear()
        if step.keep_name:
            self.noselect.add(box.name)
        self._prune(box.name)
        return hint

    def _prune(self, name: str) -> None:
        """Forget \\Noselect names that have no children any more."""
        for parent in [name, *reversed(names.parents(name))]:
            if parent in self.noselect and not names.inferiors(self.all_names, parent):
                self.noselect.discard(parent)

    def _rename(self, box: Box, step: Rename) -> Update:
        del self.names[box.name]
        if names.inferiors(self.all_names, box.name):
            self.noselect.add(box.name)  # until its children have followed
        old, box.name = box.name, step.name
        self.names[step.name] = box
        self.noselect.discard(step.name)
        self.noselect.update(parent for parent in names.parents(step.name) if parent not in self.names)
        self._prune(old)
        kind = Kind.RENAME
        if step.uidvalidity != box.uidvalidity:
            box.uidvalidity = step.uidvalidity
            kind = Kind.RESET
        self._remember(step.name, step.uidvalidity)
        return self._log(box, Entry(step.modseq, kind, EMPTY, step.name.encode()), Hint.MAILBOX_LIST)

    def _remember(self, name: str, uidvalidity: int) -> None:
        self.uidvalidity = max(self.uidvalidity, uidvalidity)
        self.name_history[name] = max(uidvalidity, self.name_history.get(name, 0))
