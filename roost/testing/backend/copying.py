"""COPY and MOVE."""

from __future__ import annotations

import asyncio

import pytest

from roost.errors import LimitExceeded, NoSuchMailbox
from roost.storage.api import DELETED, FLAGGED, SEEN, Flags, FlagsOp, Items
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    column,
    contents,
    date_of,
    flags_of,
    numbered,
    peek,
    scenario,
    uids_of,
)
from roost.util.ranges import Ranges

SETS = [
    ("1:5", [1, 2, 3, 4, 5]), ("1", [1]), ("1,3", [1, 3]), ("1,1:3", [1, 2, 3]), ("4:9", [4, 5]), ("45:50", []),
    ("5", [5]), ("1,2:3,5", [1, 2, 3, 5]), ("2:4", [2, 3, 4]),
]  # fmt: skip


class CopyTests(Harness):
    @pytest.mark.parametrize(("asked", "found"), SETS)
    @pytest.mark.parametrize("move", [False, True])
    def test_copy_and_move(self, tmp_path: object, asked: str, found: list[int], move: bool) -> None:
        """The right messages in order, with flags, keywords, internal date, and a save date of now."""

        async def run(self: CopyTests, scene: Scene) -> None:
            user = await scene.user()
            inbox, sent = await user.get_mailbox("INBOX"), await user.get_mailbox("Sent")
            await append(sent, user, b"there already", 0, ("$Mine", "$Test1-2"))
            await scene.fill(inbox, 5)
            await inbox.update_messages_flags(Ranges.of(1, 4), FlagsOp.ADD, Flags(FLAGGED))
            before, ids = await flags_of(inbox), await column(inbox, Items.EMAIL_ID, "email_ids")
            call = inbox.move_messages if move else inbox.copy_messages
            result = await call(Ranges.parse(asked.encode()), "Sent")
            assert result.uidvalidity == (await peek(sent)).uidvalidity
            assert list(result.source) == found and list(result.dest) == list(range(2, 2 + len(found)))
            copied = await contents(sent)
            flags, dates = await flags_of(sent), await column(sent, Items.INTERNAL_DATE, "internal_dates")
            new_ids = await column(sent, Items.EMAIL_ID, "email_ids")
            for source, dest in zip(result.source, result.dest, strict=True):
                assert copied[dest] == numbered(source) and flags[dest] == before[source]
                assert dates[dest] == date_of(source) and new_ids[dest] == ids[source]
            assert len(set(new_ids.values())) == len(found) + 1
            left = [uid for uid in range(1, 6) if not (move and uid in found)]
            assert await uids_of(inbox) == left
            assert sorted((await contents(inbox)).values()) == [numbered(uid) for uid in left]
            assert (await sent.status()).recent == 1 + len(found)

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    @scenario
    async def test_no_such_target(self, scene: Scene) -> None:
        """NoSuchMailbox, also for \\Noselect; never made; nothing changed."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await scene.fill(inbox, 2)
        await user.create_mailbox("No/select")
        await user.delete_mailbox("No")
        for name in ("Missing", "No"):
            for call in (inbox.copy_messages, inbox.move_messages):
                with pytest.raises(NoSuchMailbox):
                    await call(ALL, name)
        assert await uids_of(inbox) == [1, 2]
        assert "Missing" not in [info.name for info in await user.list_mailboxes()]

    @scenario
    async def test_copy_into_the_same_mailbox(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        await scene.fill(inbox, 3)
        result = await inbox.copy_messages(Ranges.of(1, 3), "inbox")
        assert list(result.dest) == [4, 5]
        assert (await contents(inbox))[5] == numbered(3)
        moved = await inbox.move_messages(Ranges.of(2), "INBOX")
        assert list(moved.dest) == [6] and await uids_of(inbox) == [1, 3, 4, 5, 6]

    @scenario
    async def test_too_many_keywords_in_the_target(self, scene: Scene) -> None:
        """All or nothing."""
        await scene.restart(keyword_limit=10)
        user = await scene.user()
        inbox, sent = await user.get_mailbox("INBOX"), await user.get_mailbox("Sent")
        await scene.fill(inbox, 4)
        await append(sent, user, b"", 0, ("a", "b", "c"))
        for call in (inbox.copy_messages, inbox.move_messages):
            with pytest.raises(LimitExceeded):
                await call(ALL, "Sent")
        assert await uids_of(sent) == [1] and len(await uids_of(inbox)) == 4
        assert (await peek(sent)).keywords == ("a", "b", "c")

    @scenario
    async def test_copies_live_on(self, scene: Scene) -> None:
        """A body lives as long as any message has it, in whatever order they go."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await scene.fill(inbox, 3)
        await inbox.copy_messages(ALL, "Sent")
        sent = await user.get_mailbox("Sent")
        await sent.copy_messages(Ranges.of(1, 2), "Trash")
        for mailbox in (inbox, sent):
            await mailbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED))
            await mailbox.expunge()
        trash = await user.get_mailbox("Trash")
        assert list((await contents(trash)).values()) == [numbered(1), numbered(2)]
        assert len(await column(trash, Items.ENVELOPE, "envelopes")) == 2

    @scenario
    async def test_move_from_two_sessions(self, scene: Scene) -> None:
        """Exactly one of them gets each message; both succeed; nothing is in two places or in none."""
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 20)
        results = await asyncio.gather(one.move_messages(ALL, "Sent"), two.move_messages(ALL, "Trash"))
        sources = [uid for result in results for uid in result.source]
        assert sorted(sources) == list(range(1, 21))
        sent, trash = await scene.box("Sent"), await scene.box("Trash")
        stored = [*(await contents(sent)).values(), *(await contents(trash)).values()]
        assert sorted(stored) == sorted(numbered(n) for n in range(1, 21))
        assert await uids_of(one) == []

    @scenario
    async def test_many_runs(self, scene: Scene) -> None:
        """A set with holes everywhere, copied, moved and expunged."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 60)
        odd = Ranges.of(*range(1, 61, 2))
        copied = await inbox.copy_messages(odd, "Sent")
        assert list(copied.source) == list(odd) and len(copied.dest) == 30
        sent = await scene.box("Sent")
        assert list((await contents(sent)).values()) == [numbered(n) for n in odd]
        await inbox.update_messages_flags(odd, FlagsOp.ADD, Flags(DELETED | SEEN))
        assert (await inbox.expunge()).vanished == odd
        moved = await inbox.move_messages(Ranges.of(*range(2, 61, 4)), "Sent")
        assert list(moved.source) == list(range(2, 61, 4)) and moved.dest == Ranges.span(31, 45)
        assert await uids_of(inbox) == list(range(4, 61, 4))
        assert (await sent.status()).messages == 45
        assert (await sent.status()).size_octets == sum(len(data) for data in (await contents(sent)).values())
