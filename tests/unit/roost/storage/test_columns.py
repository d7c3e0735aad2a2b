"""Columns changed by journal entries, against a dictionary; what a view learns, against comparing two states."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from roost.storage.api import FlagsOp, MailboxState
from roost.storage.columns import FLAG_OPS, Columns
from roost.storage.flagbits import apply_mask
from roost.storage.journal import Entry, Kind, changes_since, mask_octets, masks_octets, unchanged
from roost.util.ranges import EMPTY, Ranges

State = dict[int, tuple[int, int]]  # uid -> (mask, modseq)

STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "add", "remove", "set", "expunge", "own"]), st.integers(0, 1 << 20),
              st.integers(0, 300)),
    max_size=30,
)  # fmt: skip


def choose(state: State, number: int) -> list[int]:
    return [uid for n, uid in enumerate(sorted(state)) if number >> (n % 20) & 1]


class Twin:
    """Columns and the same in plain Python."""

    def __init__(self) -> None:
        self.columns = Columns()
        self.state: State = {}
        self.entries: list[Entry] = []
        self.own: set[int] = set()
        self.uidnext = 1

    def step(self, what: str, number: int, mask: int) -> None:
        modseq = len(self.entries) + 1
        if what == "append":
            masks = [mask] * (number % 3 + 1) if number % 2 else [mask + n for n in range(number % 4 + 1)]
            uids = Ranges.span(self.uidnext, self.uidnext + len(masks) - 1)
            entry = Entry(modseq, Kind.APPEND, uids, masks_octets(array("Q", masks)))
            for uid, each in zip(uids, masks, strict=True):
                self.state[uid] = (each, modseq)
            self.uidnext += len(masks)
        elif what == "expunge":
            gone = choose(self.state, number)
            entry = Entry(modseq, Kind.EXPUNGE, Ranges.of(*gone))
            for uid in gone:
                del self.state[uid]
        else:
            op = FlagsOp.ADD if what == "own" else FlagsOp(what)
            plan = self.columns.plan_store(Ranges.of(*choose(self.state, number)), op, mask, None)
            wanted = [uid for uid in choose(self.state, number)
                      if apply_mask(op, self.state[uid][0], mask) != self.state[uid][0]]  # fmt: skip
            assert list(plan.changed) == wanted
            kind = next(kind for kind, each in FLAG_OPS.items() if each is op)
            entry = Entry(modseq, kind, plan.changed, mask_octets(mask))
            if what == "own":
                self.own.add(modseq)
            for uid in wanted:
                self.state[uid] = (apply_mask(op, self.state[uid][0], mask), modseq)
        self.entries.append(entry)
        self.columns.apply(entry)

    def check(self) -> None:
        columns = self.columns
        assert list(columns.uids) == sorted(self.state)
        assert dict(zip(columns.uids, zip(columns.flags, columns.modseqs, strict=True), strict=True)) == self.state
        assert columns.uidnext == self.uidnext and columns.modseq == len(self.entries)
        unseen = [uid for uid in columns.uids if not self.state[uid][0] & 1]
        deleted = [uid for uid in columns.uids if self.state[uid][0] & 8]
        assert columns.counts() == (len(unseen), len(deleted), unseen[0] if unseen else None)
        assert list(columns.with_flag(8)) == deleted
        assert list(columns.with_flag(8, Ranges.span(2, 5))) == [uid for uid in deleted if 2 <= uid <= 5]


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_columns_follow_the_journal(steps: list[tuple[str, int, int]]) -> None:
    twin = Twin()
    shared = []
    for step in steps:
        twin.step(*step)
        shared.append((twin.columns.uids, len(twin.columns.uids), list(twin.columns.uids)))
        twin.check()
    for uids, count, before in shared:
        assert list(uids[:count]) == before, "a view's uids changed under it"
    frozen = twin.columns.copy()
    twin.step("append", 1, 9)
    assert len(frozen.uids) == len(twin.columns.uids) - 2


@given(STEPS, st.integers(0, 29))
@settings(max_examples=200, deadline=None)
def test_changes_lead_from_one_state_to_the_other(steps: list[tuple[str, int, int]], cut: int) -> None:
    twin = Twin()
    before: State = {}
    for n, step in enumerate(steps):
        if n == cut:
            before = dict(twin.state)
            twin.own.clear()
        twin.step(*step)
    cursor = min(cut, len(steps))
    if cursor == len(steps):
        before = dict(twin.state)
    entries = twin.entries[cursor:]
    changes = changes_since(twin.columns, entries, len(steps), twin.own, Ranges.span(1, 3))
    assert changes.state is MailboxState.OK and changes.cursor == len(steps)
    assert list(changes.vanished) == sorted(set(before) - set(twin.state))
    assert list(changes.new) == sorted(set(twin.state) - set(before))
    assert set(changes.recent) == set(changes.new) & {1, 2, 3}
    values = zip(changes.changed_flags, changes.changed_modseqs, strict=True)
    told = dict(zip(changes.changed_uids, values, strict=True))
    others = [entry for entry in entries if entry.modseq not in twin.own and entry.kind in FLAG_OPS]
    by_others = {uid for entry in others for uid in entry.uids}
    assert set(told) == set(before) & set(twin.state) & by_others
    assert all(twin.state[uid] == value for uid, value in told.items())


def test_a_reset_voids_views() -> None:
    columns = Columns()
    entry = Entry(5, Kind.RESET, EMPTY)
    columns.apply(entry)
    assert changes_since(columns, [entry], 5, (), EMPTY).state is MailboxState.UIDVALIDITY_CHANGED
    assert unchanged(columns, 5).state is MailboxState.OK


def test_many_entries_cost_no_square() -> None:
    """10,000 scattered changes are gathered in one go."""
    columns = Columns()
    columns.apply(Entry(1, Kind.APPEND, Ranges.span(1, 20_000), mask_octets(0)))
    entries = []
    for n in range(10_000):
        entries.append(Entry(n + 2, Kind.ADD, Ranges.of(2 * n + 1), mask_octets(1)))
        columns.apply(entries[-1])
    changes = changes_since(columns, entries, 10_001, (), EMPTY)
    assert list(changes.changed_uids) == list(range(1, 20_001, 2)) and set(changes.changed_flags) == {1}


def test_unchanged_since() -> None:
    columns = Columns()
    columns.apply(Entry(1, Kind.APPEND, Ranges.span(1, 6), mask_octets(0)))
    columns.apply(Entry(2, Kind.ADD, Ranges.of(2, 3, 6), mask_octets(4)))
    plan = columns.plan_store(Ranges.span(1, 9), FlagsOp.ADD, 1, 1)
    assert (plan.changed, plan.conflicts, plan.missing) == (Ranges.of(1, 4, 5), Ranges.of(2, 3, 6), Ranges.span(7, 9))
