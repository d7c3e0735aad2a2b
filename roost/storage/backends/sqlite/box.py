"""One mailbox of an open store: what its row says, its columns when they are in memory, its last journal entries."""

from __future__ import annotations

from collections import OrderedDict, deque

from roost.storage.api import Changes, MailboxInfo
from roost.storage.columns import Columns
from roost.storage.journal import Entry, unchanged

KEPT_ENTRIES = 128  # for views to catch up with, without asking the database


class Box:
    """Changed on the loop thread only. ``number`` is the row's id, ``id`` the public one."""

    __slots__ = ("_quiet", "columns", "entries", "entries_after", "first_recent", "id", "name", "number",
                 "octets", "selectable", "since_fold", "special_use", "uidvalidity")  # fmt: skip

    def __init__(self, number: int, public_id: str) -> None:
        self.number = number
        self.id = public_id
        self.name = ""
        self.selectable = True
        self.uidvalidity = 0
        self.special_use = ""
        self.first_recent = 1  # at most the true one
        self.since_fold = 0  # journal entries of this mailbox after the snapshot
        self.columns: Columns | None = None
        self.octets = 0  # as accounted for by ColumnCache
        self.entries: deque[Entry] = deque()
        self.entries_after = 0  # ``entries`` are all there are after this modseq
        self._quiet: Changes | None = None

    def remember(self, entry: Entry) -> None:
        """Keep an entry just applied to the columns."""
        if len(self.entries) >= KEPT_ENTRIES:
            self.entries_after = self.entries.popleft().modseq
        self.entries.append(entry)
        self.since_fold += 1
        self._quiet = None

    def forget(self) -> None:
        """Drop what is only in memory."""
        self.columns = None
        self.entries.clear()
        self._quiet = None

    def quiet(self, columns: Columns, cursor: int) -> Changes:
        """``unchanged``, made once for each state."""
        quiet = self._quiet
        if quiet is None or quiet.cursor != cursor:
            quiet = self._quiet = unchanged(columns, cursor)
        return quiet

    def info(self, *, subscribed: bool, has_children: bool) -> MailboxInfo:
        """The LIST row."""
        attributes = frozenset(self.special_use.split()) if self.selectable else frozenset({"\\Noselect"})
        return MailboxInfo(
            name=self.name,
            id=self.id if self.selectable else "",
            attributes=attributes,
            subscribed=subscribed,
            has_children=has_children,
        )


class ColumnCache:
    """Bounds the memory of all columns of a process: the least recently used mailboxes lose theirs."""

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self.octets = 0
        self._boxes: OrderedDict[int, Box] = OrderedDict()  # by identity of the box
        self._last: Box | None = None  # the one used last, when it is there still

    def touch(self, box: Box) -> None:
        """``box`` is in use and has columns; others may be dropped."""
        assert box.columns is not None
        octets = box.columns.octets
        if box is self._last and octets == box.octets:
            return
        key = id(box)
        boxes = self._boxes
        if key in boxes:
            boxes.move_to_end(key)
        else:
            boxes[key] = box
        self._last = box
        self.octets += octets - box.octets
        box.octets = octets
        while self.octets > self.limit_octets and len(boxes) > 1:
            self._drop(boxes[next(iter(boxes))])

    def remove(self, box: Box) -> None:
        """Drop the columns of a box."""
        if id(box) in self._boxes:
            self._drop(box)
        else:
            box.forget()

    def _drop(self, box: Box) -> None:
        del self._boxes[id(box)]
        if box is self._last:
            self._last = None
        self.octets -= box.octets
        box.octets = 0
        box.forget()
