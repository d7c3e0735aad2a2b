"""Views: snapshots, poll, \\Recent, one's own changes, cursors."""

from __future__ import annotations

import pytest

from roost.storage.api import DELETED, FLAGGED, SEEN, Flags, FlagsOp, Mailbox, MailboxState
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    flag_names,
    flags_of,
    peek,
    scenario,
    uids_of,
)
from roost.util.ranges import EMPTY, Ranges

ADD = FlagsOp.ADD


class View:
    """What one session knows of a mailbox, changed only by what it is told; every step is checked."""

    def __init__(self, mailbox: Mailbox, *, read_only: bool = False) -> None:
        self.mailbox = mailbox
        self.read_only = read_only
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.recent: set[int] = set()
        self.own: set[int] = set()
        self.cursor = 0
        self.uidnext = 0
        self.uidvalidity = 0

    async def open(self) -> View:
        snapshot = await self.mailbox.select(read_only=self.read_only, claim_recent=not self.read_only)
        self.uids = list(snapshot.uids[: snapshot.count])
        assert self.uids == sorted(set(self.uids)) and all(uid < snapshot.uidnext for uid in self.uids)
        assert set(snapshot.recent) <= set(self.uids)
        self.recent = set(snapshot.recent)
        self.cursor, self.uidnext, self.uidvalidity = snapshot.cursor, snapshot.uidnext, snapshot.uidvalidity
        self.own.clear()
        await self._read_flags(self.uids)
        unseen = [uid for uid in self.uids if "\\Seen" not in self.flags[uid]]
        if (await peek(self.mailbox)).cursor == self.cursor:
            assert snapshot.first_unseen_uid == (unseen[0] if unseen else None)
        return self

    async def _read_flags(self, uids: list[int]) -> None:
        found = await flags_of(self.mailbox, Ranges.of(*uids))
        for uid in uids:
            self.flags[uid] = found.get(uid, self.flags.get(uid, frozenset()))

    async def sync(self) -> MailboxState:
        """Poll and take over what happened."""
        changes = await self.mailbox.poll(self.cursor, claim_recent=not self.read_only, own=frozenset(self.own))
        if changes.state is not MailboxState.OK:
            return changes.state
        before = set(self.uids)
        new, vanished, changed = set(changes.new), set(changes.vanished), list(changes.changed_uids)
        assert vanished <= before, f"vanished {vanished - before} that the view never had"
        assert not new & before and all(uid > max(before, default=0) for uid in new)
        assert set(changes.recent) <= new
        assert changed == sorted(set(changed)) and set(changed) <= before - vanished
        assert len(changed) == len(changes.changed_flags) == len(changes.changed_modseqs)
        assert all(modseq <= changes.highest_modseq for modseq in changes.changed_modseqs)
        assert changes.uidnext >= self.uidnext and changes.cursor >= self.cursor
        self.uids = sorted(before - vanished | new)
        assert list(changes.uids[: changes.count]) == self.uids, "the cut is not consistent"
        for uid, mask in zip(changed, changes.changed_flags, strict=True):
            self.flags[uid] = flag_names(mask, changes.keywords)
        self.recent |= set(changes.recent)
        self.cursor, self.uidnext = changes.cursor, changes.uidnext
        self.own.clear()
        await self._read_flags(sorted(new))
        return changes.state

    async def store(self, uids: Ranges, op: FlagsOp, flags: Flags) -> None:
        """Our own STORE: taken over from its result, and passed to poll as our own."""
        result = await self.mailbox.update_messages_flags(uids, op, flags)
        for uid, mask in zip(result.changed_uids, result.changed_flags, strict=True):
            if uid in self.flags:
                self.flags[uid] = flag_names(mask, result.keywords)
        if result.cursors is not None and result.cursors[0] == self.cursor:
            self.cursor = result.cursors[1]
        else:
            self.own.add(result.modseq)

    async def expunge(self, uids: Ranges | None = None) -> None:
        """Our own EXPUNGE."""
        result = await self.mailbox.expunge(uids)
        self.uids = [uid for uid in self.uids if uid not in result.vanished]
        self.own.add(result.modseq)

    async def check(self) -> None:
        """Nothing happens any more: the view is the mailbox."""
        assert self.uids == await uids_of(self.mailbox)
        assert {uid: self.flags[uid] for uid in self.uids} == await flags_of(self.mailbox)


class ViewTests(Harness):
    @scenario
    async def test_poll_of_nothing(self, scene: Scene) -> None:
        """The cursor stays good for ever; nothing is told twice."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 3)
        snapshot = await inbox.select(read_only=False, claim_recent=True)
        for _ in range(3):
            changes = await inbox.poll(snapshot.cursor, claim_recent=True)
            assert (changes.state, changes.count, changes.uidnext) == (MailboxState.OK, 3, 4)
            assert changes.new == changes.vanished == changes.recent == EMPTY and not changes.changed_uids
            assert changes.cursor >= snapshot.cursor

    @scenario
    async def test_each_kind_of_change(self, scene: Scene) -> None:
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 5)
        view = await View(two).open()
        await one.update_messages_flags(Ranges.of(1, 3, 5), ADD, Flags(FLAGGED, ("New",)))
        await view.sync()
        assert view.flags[3] == {"\\Flagged", "New", "$Test3-1", "$Test3-2"} and "\\Flagged" not in view.flags[2]
        await one.update_messages_flags(Ranges.of(2, 5), ADD, Flags(DELETED))
        await one.expunge()
        await view.sync()
        assert view.uids == [1, 3, 4]
        await scene.fill(one, 2, start=6)
        await one.update_messages_flags(Ranges.of(6), ADD, Flags(SEEN | DELETED))
        await one.expunge()
        await view.sync()
        assert view.uids == [1, 3, 4, 7]  # 6 came and went unseen
        await view.check()

    @scenario
    async def test_everything_between_two_polls(self, scene: Scene) -> None:
        """Flags changed and changed back, then expunged; appended and flagged: one consistent cut."""
        one, view = await scene.inbox(), await View(await scene.inbox()).open()
        await scene.fill(one, 4)
        await one.update_messages_flags(ALL, ADD, Flags(SEEN))
        await one.update_messages_flags(Ranges.of(1), FlagsOp.REMOVE, Flags(SEEN))
        await one.move_messages(Ranges.of(2), "Trash")
        await one.copy_messages(Ranges.of(3), "INBOX")
        changes = await view.mailbox.poll(view.cursor, claim_recent=False)
        assert changes.new == Ranges.of(1, 3, 4, 5) and not changes.vanished and not changes.changed_uids
        await view.sync()
        assert "\\Seen" in view.flags[5] and "\\Seen" not in view.flags[1]
        await view.check()

    @scenario
    async def test_own_changes_are_not_told(self, scene: Scene) -> None:
        """Unless somebody else changed the same message too, before or after."""
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 4)
        cursor = (await peek(one)).cursor
        await two.update_messages_flags(Ranges.of(2), ADD, Flags(FLAGGED))
        own = (await one.update_messages_flags(Ranges.span(1, 3), ADD, Flags(SEEN))).modseq
        await two.update_messages_flags(Ranges.of(3), ADD, Flags(FLAGGED))
        changes = await one.poll(cursor, claim_recent=False, own={own})
        assert list(changes.changed_uids) == [2, 3]
        assert [mask & 31 for mask in changes.changed_flags] == [SEEN | FLAGGED] * 2
        everything = await one.poll(cursor, claim_recent=False)
        assert list(everything.changed_uids) == [1, 2, 3]

    @scenario
    async def test_a_change_may_tell_the_cursors(self, scene: Scene) -> None:
        """A view that stands right before its own change goes on from right after it, and misses nothing."""
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 3)
        before = (await peek(one)).cursor
        first = await one.update_messages_flags(Ranges.of(1), ADD, Flags(SEEN))
        if first.cursors is not None:
            assert first.cursors[0] == before
            assert list((await one.poll(before, claim_recent=False)).changed_uids) == [1]
            assert not (await one.poll(first.cursors[1], claim_recent=False)).changed_uids
        await two.update_messages_flags(Ranges.of(2), ADD, Flags(SEEN))
        await scene.fill(two, 1, start=4)
        later = await one.update_messages_flags(Ranges.of(3), ADD, Flags(FLAGGED, ("New",)))
        if first.cursors is not None and later.cursors is not None:
            assert later.cursors[0] != first.cursors[1], "somebody else was between the two"
            changes = await one.poll(first.cursors[1], claim_recent=False)
            assert list(changes.changed_uids) == [2, 3] and changes.new == Ranges.of(4)
            changes = await one.poll(later.cursors[1], claim_recent=False)
            assert not changes.changed_uids and not changes.new
        nothing = await one.update_messages_flags(Ranges.of(3), ADD, Flags(FLAGGED))
        assert nothing.cursors is None or nothing.cursors[0] == nothing.cursors[1]

    @scenario
    async def test_own_expunge(self, scene: Scene) -> None:
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 3)
        view = await View(one).open()
        await scene.fill(two, 2, start=4)
        await two.update_messages_flags(Ranges.of(1, 4), ADD, Flags(DELETED))
        await view.expunge()
        await view.sync()
        assert view.uids == [2, 3, 5]

    @scenario
    async def test_recent_is_claimed_once(self, scene: Scene) -> None:
        """By the first read-write view that learns of it; EXAMINE and STATUS show and take nothing."""
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 3)
        assert (await one.status()).recent == 3
        shown = await two.select(read_only=True, claim_recent=True)
        assert shown.recent == Ranges.span(1, 3) and shown.read_only
        assert (await peek(two)).recent == Ranges.span(1, 3)
        first = await View(one).open()
        assert first.recent == {1, 2, 3} and (await one.status()).recent == 0
        second = await View(two).open()
        assert not second.recent
        await scene.fill(one, 2, start=4)
        await second.sync()
        await first.sync()
        assert second.recent == {4, 5} and first.recent == {1, 2, 3}
        only_looking = await View(two, read_only=True).open()
        await scene.fill(one, 1, start=6)
        await only_looking.sync()
        assert only_looking.recent == {6}
        await first.sync()
        assert first.recent == {1, 2, 3, 6}
        copied = await one.copy_messages(Ranges.of(1), "Sent")
        assert (await (await scene.box("Sent")).select(read_only=False, claim_recent=True)).recent == copied.dest

    @scenario
    async def test_recent_of_many_views(self, scene: Scene) -> None:
        """Over any number of views every message is recent in exactly one."""
        views = [await View(await scene.inbox()).open() for _ in range(4)]
        user = await scene.user()
        for number in range(40):
            await append(views[number % 3].mailbox, user, b"%d" % number)
            await views[number % 4].sync()
        for view in views:
            await view.sync()
        claimed = [uid for view in views for uid in view.recent]
        assert sorted(claimed) == list(range(1, 41))

    @scenario
    async def test_recent_survives_a_restart(self, scene: Scene) -> None:
        if not self.persistent:
            pytest.skip("not persistent")
        inbox = await scene.inbox()
        await scene.fill(inbox, 2)
        await View(inbox).open()
        await scene.fill(inbox, 2, start=3)
        await scene.restart()
        assert (await View(await scene.inbox()).open()).recent == {3, 4}
        await scene.restart()
        assert (await scene.inbox()) is not None and not (await View(await scene.inbox()).open()).recent

    @scenario
    async def test_a_resting_view_misses_nothing(self, scene: Scene) -> None:
        one = await scene.inbox()
        await scene.fill(one, 3)
        view = await View(await scene.inbox()).open()
        await view.mailbox.rest()
        await one.update_messages_flags(Ranges.of(2), ADD, Flags(FLAGGED))
        await scene.fill(one, 1, start=4)
        assert await view.sync() is MailboxState.OK
        assert view.uids == [1, 2, 3, 4]
        await view.mailbox.rest()
        await view.mailbox.update_messages_flags(Ranges.of(1), ADD, Flags(SEEN))
        await view.sync()
        await view.check()

    @scenario
    async def test_a_long_absence(self, scene: Scene) -> None:
        """A view that did not look for a long time learns everything, or is told TOO_OLD and starts anew."""
        one = await scene.inbox()
        await scene.fill(one, 50)
        view = await View(await scene.inbox()).open()
        for n in range(6000):
            await one.update_messages_flags(Ranges.of(n % 50 + 1), ADD if n // 50 % 2 else FlagsOp.REMOVE, Flags(SEEN))
        await one.update_messages_flags(Ranges.span(10, 20), ADD, Flags(DELETED))
        await one.expunge()
        await scene.fill(one, 5, start=100)
        state = await view.sync()
        if state is MailboxState.TOO_OLD:
            await view.open()
        assert state in (MailboxState.OK, MailboxState.TOO_OLD)
        await view.check()

    @scenario
    async def test_cursors_outlive_a_restart(self, scene: Scene) -> None:
        if not self.persistent:
            pytest.skip("not persistent")
        view = await View(await scene.inbox()).open()
        await scene.fill(view.mailbox, 3)
        await view.sync()
        await scene.restart()
        one = await scene.inbox()
        await one.update_messages_flags(Ranges.of(2), ADD, Flags(DELETED))
        await one.expunge()
        view.mailbox = await scene.inbox()
        state = await view.sync()
        if state is MailboxState.TOO_OLD:
            await view.open()
        assert view.uids == [1, 3]
        await view.check()
