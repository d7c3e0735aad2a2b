"""SEARCH: every key, decoded text, dates at midnight, combinations."""

from __future__ import annotations

from array import array

import pytest

from roost.imap.search_keys import (
    All,
    And,
    Before,
    Body,
    Criteria,
    Flag,
    Header,
    Keyword,
    Larger,
    ModSeq,
    Not,
    On,
    Or,
    SentBefore,
    SentOn,
    SentSince,
    Since,
    Smaller,
    Text,
    Uids,
)
from roost.storage.api import ANSWERED, FLAGGED, SEEN, Flags, FlagsOp
from roost.testing.backend.fetching import NESTED
from roost.testing.backend.harness import ALL, Harness, Scene, append, peek, scenario
from roost.util.ranges import Ranges

DAY = 86_400
NOON = 20_000 * DAY + DAY // 2  # of day 20,000: 2024-10-04

FIRST = (
    b"From: =?iso-8859-1?q?J=F6rg?= <joerg@example.org>\r\nTo: all@example.net\r\nSubject: Lunch on\r\n Friday\r\n"
    b"Date: Fri, 4 Oct 2024 23:30:00 -0500\r\n\r\nSee you at the Harbour.\r\n"
)
SECOND = (
    b"From: Mina <mina@example.org>\r\nCc: joerg@example.org\r\nSubject: =?utf-8?b?UsOpc3Vtw6k=?=\r\n"
    b"Date: Sat, 5 Oct 2024 08:00:00 +0900\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgTcO8bmNoZW4gaGlkZGVuIGJhc2U2NA==\r\n"
)

# Messages: 1 FIRST (\Seen, $Junk, day 20,000 noon), 2 SECOND (\Flagged, midnight of day 20,001), 3 NESTED (nothing, one
# second before midnight of day 20,001), 4 without any header.
CASES: list[tuple[Criteria, list[int]]] = [
    (All(), [1, 2, 3, 4]),
    (Uids(Ranges.of(2, 4, 9)), [2, 4]),
    (Not(Uids(Ranges.of(2))), [1, 3, 4]),
    (Flag(SEEN), [1]),
    (Flag(SEEN, False), [2, 3, 4]),
    (Flag(FLAGGED), [2]),
    (Flag(ANSWERED), []),
    (Keyword("$junk"), [1]),
    (Keyword("$Junk", False), [2, 3, 4]),
    (Keyword("$none"), []),
    (Keyword("$none", False), [1, 2, 3, 4]),
    (Larger(len(FIRST)), [2, 3]),
    (Larger(len(FIRST) - 1), [1, 2, 3]),
    (Smaller(len(FIRST)), [4]),
    (Smaller(len(FIRST) + 1), [1, 4]),
    (On(20_000), [1, 3]),
    (On(20_001), [2]),
    (Since(20_001), [2, 4]),
    (Since(20_000), [1, 2, 3, 4]),
    (Before(20_001), [1, 3]),
    (Before(20_000), []),
    (SentOn(20_000), [1]),
    (SentOn(20_001), [2]),
    (SentSince(20_001), [2, 3]),
    (SentBefore(20_001), [1]),
    (Header("subject", "lunch ON friday"), [1]),
    (Header("subject", "r\u00e9sum\u00e9"), [2]),
    (Header("subject", "R\u00c9SUM\u00c9"), [2]),
    (Header("from", "j\u00f6rg"), [1]),
    (Header("from", "joerg@example.org"), [1]),
    (Header("cc", ""), [2]),
    (Header("x-odd", "two folded"), [3]),
    (Header("x-odd", ""), [3]),
    (Header("x-none", ""), []),
    (Header("subject", "nothing like it"), []),
    (Body("HARBOUR"), [1]),
    (Body("gr\u00fc\u00dfe"), [2, 3]),
    (Body("hidden base64"), [2]),
    (Body("Lunch"), []),
    (Body("attached"), [3]),
    (Text("lunch"), [1]),
    (Text("caf\u00e9 NESTED"), [3]),
    (Text("m\u00fcnchen"), [2]),
    (Text("joerg@example"), [1, 2]),
    (And((Flag(SEEN), Since(20_000))), [1]),
    (And((Flag(SEEN), Flag(FLAGGED))), []),
    (And((Body("e"), Not(Flag(SEEN)), Smaller(100_000))), [2, 3, 4]),
    (Or((Flag(SEEN), Flag(FLAGGED))), [1, 2]),
    (Or((Header("cc", ""), Body("harbour"), Uids(Ranges.of(4)))), [1, 2, 4]),
    (Not(Or((Flag(SEEN), Header("cc", "")))), [3, 4]),
    (Not(All()), []),
    (And((Not(Uids(Ranges.of(1))), Or((Not(Body("gr\u00fc\u00dfe")), Keyword("$junk"))))), [4]),
]


class SearchTests(Harness):
    async def _messages(self, scene: Scene) -> object:
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await append(inbox, user, FIRST, SEEN, ("$Junk",), NOON)
        await append(inbox, user, SECOND, FLAGGED, (), 20_001 * DAY)
        await append(inbox, user, NESTED, 0, (), 20_001 * DAY - 1)
        await append(inbox, user, b"\r\nheadless\r\n", 0, (), 20_005 * DAY)
        return inbox

    @pytest.mark.parametrize(("criteria", "found"), CASES, ids=lambda v: repr(v)[:60])
    def test_key(self, tmp_path: object, criteria: Criteria, found: list[int]) -> None:
        async def run(self: SearchTests, scene: Scene) -> None:
            inbox = await self._messages(scene)
            result = await inbox.search_messages(criteria)  # type: ignore[attr-defined]
            assert list(result.uids) == found and result.highest_modseq == 0
            assert isinstance(result.uids, array)
            some = await inbox.search_messages(criteria, Ranges.of(2, 3, 7))  # type: ignore[attr-defined]
            assert list(some.uids) == [uid for uid in found if uid in (2, 3)]

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    @scenario
    async def test_modseq(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        await scene.fill(inbox, 5)
        base = (await peek(inbox)).highest_modseq
        changed = await inbox.update_messages_flags(Ranges.of(2, 4), FlagsOp.ADD, Flags(SEEN))
        result = await inbox.search_messages(ModSeq(base + 1))
        assert list(result.uids) == [2, 4] and result.highest_modseq == changed.modseq
        both = await inbox.search_messages(Or((ModSeq(base + 1), Uids(Ranges.of(1)))))
        assert list(both.uids) == [1, 2, 4] and both.highest_modseq == changed.modseq
        none = await inbox.search_messages(ModSeq(changed.modseq + 1))
        assert list(none.uids) == [] and none.highest_modseq == 0

    @scenario
    async def test_empty_mailbox(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        for criteria, _ in CASES:
            assert list((await inbox.search_messages(criteria)).uids) == []

    @scenario
    async def test_many_messages(self, scene: Scene) -> None:
        """More than one batch, with all three stages."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 600)
        await inbox.update_messages_flags(Ranges.span(100, 400), FlagsOp.ADD, Flags(SEEN))
        criteria = And((Flag(SEEN, False), Header("subject", "message 5"), Not(Body("message 59"))))
        wanted = [n for n in range(1, 601) if not 100 <= n <= 400 and str(n).startswith("5") and str(n)[:2] != "59"]
        assert list((await inbox.search_messages(criteria)).uids) == wanted
        assert list((await inbox.search_messages(criteria, ALL)).uids) == wanted
