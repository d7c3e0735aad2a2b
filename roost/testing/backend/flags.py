"""STORE: every operation, keywords, atomicity, UNCHANGEDSINCE, modseqs."""

from __future__ import annotations

import asyncio

import pytest

from roost.errors import LimitExceeded
from roost.storage.api import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags, FlagsOp, Items
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    column,
    flag_names,
    flags_of,
    peek,
    scenario,
)
from roost.util.ranges import Ranges

ADD, REMOVE, SET = FlagsOp.ADD, FlagsOp.REMOVE, FlagsOp.SET

# Operation, uids, system flags, keywords; on five messages with \Draft, the odd ones also \Seen and $A.
CASES = [
    (ADD, "1:5", FLAGGED, ()), (ADD, "1", FLAGGED, ()), (ADD, "5", SEEN, ()), (ADD, "2:5", SEEN | ANSWERED, ()),
    (ADD, "1,3", DELETED, ("$B",)), (ADD, "2:3", 0, ("$A",)), (ADD, "1:9", SEEN, ()), (ADD, "45:50", FLAGGED, ()),
    (ADD, "1:5", 0, ("$a", "$C")), (ADD, "1:5", SEEN | DRAFT, ("$A", "$B")),
    (REMOVE, "1:5", SEEN, ()), (REMOVE, "1", SEEN, ("$A",)), (REMOVE, "2:5", DRAFT, ()), (REMOVE, "1,3", FLAGGED, ()),
    (REMOVE, "1:5", 0, ("$unknown",)), (REMOVE, "45:50", SEEN, ()), (REMOVE, "3:4", SEEN | DRAFT, ("$a",)),
    (SET, "1:5", FLAGGED, ()), (SET, "1", 0, ()), (SET, "2:9", SEEN, ("$A", "$D")), (SET, "1,3", SEEN | DRAFT, ("$A",)),
    (SET, "45:50", SEEN, ()),
]  # fmt: skip


def expected(op: FlagsOp, old: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    if op is ADD:
        return old | given
    return old - given if op is REMOVE else given


class FlagTests(Harness):
    @pytest.mark.parametrize(("op", "uids", "system", "keywords"), CASES)
    def test_store(self, tmp_path: object, op: FlagsOp, uids: str, system: int, keywords: tuple[str, ...]) -> None:
        """What changes is changed and told, with one new modseq; what stays the same keeps its modseq."""

        async def run(self: FlagTests, scene: Scene) -> None:
            user = await scene.user()
            inbox = await user.get_mailbox("INBOX")
            for n in range(1, 6):
                odd = n % 2
                await append(inbox, user, b"", DRAFT | SEEN * odd, ("$A",) if odd else ())
            before, modseqs = await flags_of(inbox), await column(inbox, Items.MODSEQ, "modseqs")
            wanted_uids = Ranges.parse(uids.encode())
            known = {"$a": "$A"}
            given = flag_names(system, ()) | {known.get(name.lower(), name) for name in keywords}
            result = await inbox.update_messages_flags(wanted_uids, op, Flags(system, keywords))
            after, new_modseqs = await flags_of(inbox), await column(inbox, Items.MODSEQ, "modseqs")
            changed = []
            for uid in range(1, 6):
                wanted = expected(op, before[uid], given) if uid in wanted_uids else before[uid]
                assert after[uid] == wanted, uid
                if wanted != before[uid]:
                    changed.append(uid)
                assert new_modseqs[uid] == (result.modseq if wanted != before[uid] else modseqs[uid])
            assert list(result.changed_uids) == changed and bool(result.modseq) == bool(changed)
            told = [flag_names(mask, result.keywords) for mask in result.changed_flags]
            assert told == [after[uid] for uid in changed]
            assert result.missing == wanted_uids - Ranges.span(1, 5) and not result.conflicts
            assert result.modseq == 0 or result.modseq > max(modseqs.values())

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    @scenario
    async def test_keywords(self, scene: Scene) -> None:
        """The first spelling stays, any case means the same; the table only grows; too many are LimitExceeded."""
        await scene.restart(keyword_limit=6)
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await append(inbox, user, b"", 0, ("NonJunk",))
        await inbox.update_messages_flags(ALL, ADD, Flags(0, ("nonjunk", "$Forwarded")))
        assert (await peek(inbox)).keywords == ("NonJunk", "$Forwarded")
        await inbox.update_messages_flags(ALL, REMOVE, Flags(0, ("NONJUNK",)))
        assert await flags_of(inbox) == {1: {"$Forwarded"}}
        assert (await peek(inbox)).keywords == ("NonJunk", "$Forwarded")
        await inbox.update_messages_flags(ALL, SET, Flags(0, ("a", "b", "c", "d")))
        with pytest.raises(LimitExceeded):
            await inbox.update_messages_flags(ALL, ADD, Flags(SEEN, ("e",)))
        assert await flags_of(inbox) == {1: {"a", "b", "c", "d"}}
        assert (await peek(inbox)).keywords == ("NonJunk", "$Forwarded", "a", "b", "c", "d")

    @scenario
    async def test_all_keywords(self, scene: Scene) -> None:
        """As many as a mask has room for, each on its own message."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        names = [f"k{n}" for n in range(58)]
        for name in names:
            await append(inbox, user, b"", 0, (name,))
        await inbox.update_messages_flags(ALL, ADD, Flags(SEEN, (names[57],)))
        await inbox.update_messages_flags(ALL, REMOVE, Flags(0, (names[0],)))
        flags = await flags_of(inbox)
        assert (
            flags[1] == {"\\Seen", "k57"} and flags[30] == {"\\Seen", "k29", "k57"} and flags[58] == {"\\Seen", "k57"}
        )

    @scenario
    async def test_unchanged_since(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        await scene.fill(inbox, 5)
        base = (await peek(inbox)).highest_modseq
        await inbox.update_messages_flags(Ranges.of(2, 4), ADD, Flags(FLAGGED))
        result = await inbox.update_messages_flags(ALL, ADD, Flags(SEEN), unchanged_since=base)
        assert result.conflicts == Ranges.of(2, 4) and list(result.changed_uids) == [1, 3, 5]
        none = await inbox.update_messages_flags(Ranges.span(1, 5), ADD, Flags(DRAFT), unchanged_since=0)
        assert none.conflicts == Ranges.span(1, 5) and none.modseq == 0
        flags = await flags_of(inbox)
        assert "\\Seen" not in flags[2] and "\\Seen" in flags[1]

    @scenario
    async def test_two_sessions_lose_no_flag(self, scene: Scene) -> None:
        """Adding and removing different flags at the same time, many times."""
        one, two = await scene.inbox(), await scene.inbox()
        await scene.fill(one, 5)

        async def flip(mailbox: object, flag: int, rounds: int) -> None:
            for n in range(rounds):
                op = ADD if n % 2 == 0 else REMOVE
                await mailbox.update_messages_flags(Ranges.of(n % 5 + 1), op, Flags(flag))  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            await mailbox.update_messages_flags(ALL, ADD, Flags(flag))  # type: ignore[attr-defined]

        await asyncio.gather(flip(one, FLAGGED, 200), flip(two, ANSWERED, 200), flip(one, SEEN, 101))
        for names in (await flags_of(one)).values():
            assert {"\\Flagged", "\\Answered", "\\Seen"} <= names

    @scenario
    async def test_modseqs_rise_over_all_changes(self, scene: Scene) -> None:
        """Every change anywhere gives a greater number; HIGHESTMODSEQ is that of the last change of the mailbox."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        seen = [(await peek(inbox)).highest_modseq]
        assert seen[0] >= 1
        seen.append((await scene.fill(inbox, 3)).modseq)
        seen.append((await inbox.update_messages_flags(Ranges.of(1), ADD, Flags(DELETED))).modseq)
        seen.append((await inbox.copy_messages(Ranges.of(2), "Sent")).modseq)
        seen.append((await inbox.move_messages(Ranges.of(3), "Sent")).modseq)
        seen.append((await inbox.expunge()).modseq)
        assert seen == sorted(set(seen))
        assert (await peek(inbox)).highest_modseq == seen[-1]
        sent = await user.get_mailbox("Sent")
        assert max((await column(sent, Items.MODSEQ, "modseqs")).values()) == (await peek(sent)).highest_modseq
