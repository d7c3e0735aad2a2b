"""APPEND, MULTIAPPEND, delivery; STATUS; expunge; what a restart must not change."""

from __future__ import annotations

import pytest

from roost.errors import LimitExceeded, NoSuchMailbox, Refused, TooBig
from roost.storage.api import DELETED, FLAGGED, SEEN, Flags, FlagsOp, Items, Kind
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    column,
    contents,
    flags_of,
    new_message,
    numbered,
    peek,
    scenario,
    uids_of,
)
from roost.util.ranges import Ranges


class MessageTests(Harness):
    @scenario
    async def test_append_keeps_everything(self, scene: Scene) -> None:
        """Octets, size, flags, keywords and the internal date to the second; UIDs ascend from UIDNEXT."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        uidnext = (await inbox.status()).uidnext
        uid = await append(inbox, user, numbered(1), SEEN | FLAGGED, ("$Test1-1", "Other"), 1_234_567_890)
        assert uid == uidnext
        assert await contents(inbox) == {uid: numbered(1)}
        assert await column(inbox, Items.SIZE, "sizes") == {uid: len(numbered(1))}
        assert await column(inbox, Items.INTERNAL_DATE, "internal_dates") == {uid: 1_234_567_890}
        assert await flags_of(inbox) == {uid: {"\\Seen", "\\Flagged", "$Test1-1", "Other"}}
        save_date = (await column(inbox, Items.SAVE_DATE, "save_dates"))[uid]
        later = await append(inbox, user, numbered(2))
        assert later == uid + 1
        assert abs((await column(inbox, Items.INTERNAL_DATE, "internal_dates"))[later] - save_date) < 60

    @scenario
    async def test_line_ends_become_crlf(self, scene: Scene) -> None:
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        uid = await append(inbox, user, b"A: b\n\nx\r\n\ny\n")
        assert (await contents(inbox))[uid] == b"A: b\r\n\r\nx\r\n\r\ny\r\n"
        assert (await column(inbox, Items.SIZE, "sizes"))[uid] == 16

    @scenario
    async def test_any_octets(self, scene: Scene) -> None:
        """Nothing at all, no header, 8-bit, NUL, a header without an end: stored as they are."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        odd = [
            b"",
            b"\r\n",
            b"no header here",
            bytes(range(14, 256)) * 3,
            b"A: b\r\nB:",
            b"\x00\r\n\r\n\x00",
            b"\r" * 9,
        ]
        stored = {await append(inbox, user, data): data for data in odd}
        assert await contents(inbox) == stored
        for uid, envelope in (await column(inbox, Items.ENVELOPE, "envelopes")).items():
            assert envelope.startswith(b"(") and envelope.endswith(b")"), uid

    @scenario
    async def test_negative_and_far_dates(self, scene: Scene) -> None:
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        dates = [-1, 0, -2_208_988_800, 253_402_300_799]
        uids = [await append(inbox, user, b"", date=date) for date in dates]
        assert await column(inbox, Items.INTERNAL_DATE, "internal_dates") == dict(zip(uids, dates, strict=True))

    @scenario
    async def test_multiappend_is_one_change(self, scene: Scene) -> None:
        """UIDs in the order given, one modseq, one poll; none of them when one is refused."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        view = await peek(inbox)
        messages = [new_message(user, numbered(n), SEEN * (n % 2), (f"k{n}",)) for n in range(1, 31)]
        result = await inbox.create_messages(messages)
        assert result.uidvalidity == view.uidvalidity and len(result.uids) == 30
        assert list((await contents(inbox)).values()) == [numbered(n) for n in range(1, 31)]
        assert set((await column(inbox, Items.MODSEQ, "modseqs")).values()) == {result.modseq}
        assert (await flags_of(inbox))[result.uids.first] == {"\\Seen", "k1"}
        changes = await inbox.poll(view.cursor, claim_recent=False)
        assert changes.new == result.uids
        many = [new_message(user, b"x", 0, (f"other{n}",)) for n in range(40)]
        with pytest.raises(LimitExceeded):
            await inbox.create_messages(many)
        after = await peek(inbox)
        assert (after.count, after.keywords) == (30, tuple(f"k{n}" for n in range(1, 31)))
        empty = await inbox.create_messages([])
        assert not empty.uids

    @scenario
    async def test_append_limit(self, scene: Scene) -> None:
        """More than the limit is TooBig, when announced and when it comes unannounced; the limit is shown."""
        await scene.restart(mail_max_message_octets=1000)
        user = await scene.user()
        assert user.append_limit == 1000
        inbox = await user.get_mailbox("INBOX")
        assert (await inbox.status()).append_limit == 1000
        assert await append(inbox, user, b"x" * 1000)
        with pytest.raises(TooBig):
            user.new_upload(1001)
        with user.new_upload(0) as upload:
            upload.write(b"x" * 999)
            with pytest.raises(TooBig):
                upload.write(b"xx")

    @scenario
    async def test_no_append_limit(self, scene: Scene) -> None:
        await scene.restart(mail_max_message_octets=0)
        user = await scene.user()
        assert user.append_limit is None
        assert (await (await user.get_mailbox("INBOX")).status()).append_limit is None

    @scenario
    async def test_big_messages(self, scene: Scene) -> None:
        """Above any bound for memory, in pieces, read back whole and in parts; copies share nothing visible."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        line = b"0123456789" * 7 + b"\r\n"
        data = b"Subject: big\r\n\r\n" + line * 20_000
        with user.new_upload(len(data)) as upload:
            for at in range(0, len(data), 100_000):
                upload.write(memoryview(data)[at : at + 100_000])
            message = new_message(user, b"small")
            result = await inbox.create_messages([type(message)(upload), message])
        big, small = result.uids
        bodies = await column(inbox, Items.CONTENT, "contents")
        assert bodies[big].size_octets == len(data)
        assert await bodies[big].read() == data
        assert await bodies[big].read(5, 25) == data[5:25]
        assert await bodies[big].read(len(data) - 3) == data[-3:]
        assert await bodies[big].read(len(data), len(data) + 9) == b""
        assert await bodies[small].read() == b"small"
        await inbox.copy_messages(Ranges.of(big), "Sent")
        await inbox.update_messages_flags(Ranges.of(big), FlagsOp.ADD, Flags(DELETED))
        await inbox.expunge()
        sent = await user.get_mailbox("Sent")
        assert list((await contents(sent)).values()) == [data]

    @scenario
    async def test_status_counts_and_changes_nothing(self, scene: Scene) -> None:
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await scene.fill(inbox, 4)
        await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(SEEN))
        await inbox.update_messages_flags(Ranges.of(2), FlagsOp.ADD, Flags(DELETED))
        first, second = await inbox.status(), await inbox.status()
        assert first == second
        assert (first.messages, first.recent, first.unseen, first.deleted, first.uidnext) == (4, 4, 3, 1, 5)
        assert first.size_octets == sum(len(numbered(n)) for n in range(1, 5))
        snapshot = await peek(inbox)
        assert (first.uidvalidity, first.highest_modseq) == (snapshot.uidvalidity, snapshot.highest_modseq)
        assert (snapshot.first_unseen_uid, first.mailbox_id) == (2, inbox.id)
        assert {f"$Test{n}-{m}" for n in range(1, 5) for m in (1, 2)} == set(snapshot.keywords)

    @scenario
    async def test_uids_only_rise(self, scene: Scene) -> None:
        """Also over an expunge of the last message, and over a restart."""
        inbox = await scene.inbox()
        seen = 0
        for round_ in range(3):
            result = await scene.fill(inbox, 2, start=10 * round_)
            assert result.uids.first > seen
            seen = result.uids.last
            await inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED))
            await inbox.expunge()
            assert (await inbox.status()).uidnext == seen + 1
            if self.persistent:
                await scene.restart()
                inbox = await scene.inbox()
                assert (await inbox.status()).uidnext == seen + 1

    @scenario
    async def test_expunge(self, scene: Scene) -> None:
        """Only messages with \\Deleted go; with uids only those among them."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 5)
        nothing = await inbox.expunge()
        assert not nothing.vanished and nothing.modseq == 0
        await inbox.update_messages_flags(Ranges.of(1, 2, 4), FlagsOp.ADD, Flags(DELETED))
        some = await inbox.expunge(Ranges.of(2, 3))
        assert some.vanished == Ranges.of(2) and await uids_of(inbox) == [1, 3, 4, 5]
        rest = await inbox.expunge()
        assert rest.vanished == Ranges.of(1, 4) and rest.modseq > some.modseq
        assert await uids_of(inbox) == [3, 5]
        assert sorted((await contents(inbox)).values()) == [numbered(3), numbered(5)]

    @scenario
    async def test_hints_follow_changes(self, scene: Scene) -> None:
        """Each commit publishes a hint with user, mailbox and a modseq that poll then reaches."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        for change, kind in (
            (scene.fill(inbox, 2), Kind.NEW),
            (inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED)), Kind.FLAGS),
            (inbox.expunge(), Kind.EXPUNGE),
        ):
            scene.hints.clear()
            await change
            wanted = [hint for hint in scene.hints if hint.kinds & kind]
            assert wanted and all(h.username == "u1" and h.mailbox_id in ("", inbox.id) for h in wanted)
            assert max(hint.modseq for hint in wanted) == (await peek(inbox)).highest_modseq
        scene.hints.clear()
        await user.create_mailbox("New")
        await user.set_subscribed("New", True)
        kinds = [hint.kinds for hint in scene.hints]
        assert Kind.MAILBOX_LIST in kinds and Kind.SUBSCRIPTION in kinds
        scene.hints.clear()
        await inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(SEEN))
        assert not scene.hints, "nothing was changed, so there is nothing to tell"

    @scenario
    async def test_a_restart_changes_nothing(self, scene: Scene) -> None:
        if not self.persistent:
            pytest.skip("not persistent")
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await user.create_mailbox("Deep/er", special_use=["\\Flagged"])
        await scene.fill(inbox, 7)
        await inbox.update_messages_flags(Ranges.span(2, 3), FlagsOp.SET, Flags(FLAGGED, ("Later",)))
        await inbox.update_messages_flags(Ranges.of(5), FlagsOp.ADD, Flags(DELETED))
        await inbox.expunge()
        await inbox.copy_messages(Ranges.of(2), "Deep/er")
        await inbox.move_messages(Ranges.of(7), "Deep/er")

        kept = [(Items.MODSEQ, "modseqs"), (Items.EMAIL_ID, "email_ids"), (Items.SAVE_DATE, "save_dates")]
        kept.append((Items.BODYSTRUCTURE, "bodystructures"))

        async def everything() -> list[object]:
            session = await scene.user()
            found: list[object] = []
            for info in await session.list_mailboxes():
                mailbox = await session.get_mailbox(info.name)
                found += [info, await mailbox.status(), await contents(mailbox), await flags_of(mailbox)]
                for item, name in kept:
                    found.append(await column(mailbox, item, name))
            return found

        before = await everything()
        await scene.restart()
        assert await everything() == before
        inbox = await scene.inbox()
        await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(SEEN))
        assert (await peek(inbox)).highest_modseq > 0
        modseqs = await column(inbox, Items.MODSEQ, "modseqs")
        assert modseqs[1] == max(modseqs.values())

    @scenario
    async def test_bad_keywords_are_refused(self, scene: Scene) -> None:
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        with pytest.raises(Refused):
            await append(inbox, user, b"", keywords=("x" * 300,))
        assert await uids_of(inbox) == []
        gone = await scene.box("Gone")
        await user.delete_mailbox("Gone")
        with pytest.raises(NoSuchMailbox):
            await append(gone, user, b"")
