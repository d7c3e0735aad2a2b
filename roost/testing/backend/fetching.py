"""FETCH: sets, columns, wire-ready items, header fields, and being left in the middle."""

from __future__ import annotations

import pytest

from roost.storage.api import DELETED, SEEN, FetchRequest, Flags, FlagsOp, Items
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    column,
    fetch,
    peek,
    scenario,
    uids_of,
    vars_of,
)
from roost.util.ranges import Ranges

SETS = [
    ("1:5", "1:5"), ("1", "1"), ("1,3", "1,3"), ("2:4", "2:4"), ("5:4294967295", "5"), ("45:30", ""), ("6", ""),
    ("1,3:4", "1,3:4"), ("1:3,2:5", "1:5"), ("", ""),
]  # fmt: skip

NESTED = (
    b"From: A <a@example.org>\r\nTo: b@example.net, C <c@example.net>\r\nSubject: =?utf-8?q?caf=C3=A9?= nested\r\n"
    b"Date: Fri, 20 Nov 2026 10:00:00 +0100\r\nMessage-ID: <n@example.org>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="outer"\r\nX-Odd: one\r\nX-Odd: two\r\n folded\r\n\r\nPreamble\r\n'
    b'--outer\r\nContent-Type: multipart/alternative; boundary="inner"\r\n\r\n'
    b"--inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Gr=C3=BC=C3=9Fe\r\n--inner\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--inner--\r\n"
    b'--outer\r\nContent-Type: text/plain; name="x.txt"\r\nContent-Disposition: attachment\r\n\r\nAttached\r\n'
    b"--outer--\r\nEpilogue\r\n"
)


class FetchTests(Harness):
    @pytest.mark.parametrize(("asked", "found"), SETS)
    def test_uid_sets(self, tmp_path: object, asked: str, found: str) -> None:
        """The messages that exist, ascending, whatever the set."""

        async def run(self: FetchTests, scene: Scene) -> None:
            inbox = await scene.inbox()
            await scene.fill(inbox, 5)
            wanted = list(Ranges.parse(found.encode()))
            for item, name in ((Items.FLAGS, "flags"), (Items.SIZE, "sizes"), (Items.CONTENT, "contents")):
                uids = Ranges.parse(asked.encode()) if asked != "45:30" else Ranges([(45, 30)])
                assert list(await column(inbox, item, name, uids)) == wanted

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    @scenario
    async def test_only_what_was_asked(self, scene: Scene) -> None:
        """A column not asked for is None, and one asked for is parallel to uids."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 3)
        names = [
            (Items.FLAGS, "flags"), (Items.MODSEQ, "modseqs"), (Items.INTERNAL_DATE, "internal_dates"),
            (Items.SAVE_DATE, "save_dates"), (Items.SIZE, "sizes"), (Items.EMAIL_ID, "email_ids"),
            (Items.CONTENT, "contents"),
        ]  # fmt: skip
        everything = Items(0)
        for item, name in names:
            everything |= item
            (batch,) = await fetch(inbox, item)
            filled = {key for key, value in vars_of(batch).items() if value is not None}
            assert filled == {"uids", name}
        (batch,) = await fetch(inbox, everything, header_fields=(b"subject",))
        assert all(len(vars_of(batch)[name]) == 3 for _, name in names)
        assert batch.headers == [b"Subject: Message %d\r\n" % n for n in (1, 2, 3)]

    @scenario
    async def test_envelope_and_structure(self, scene: Scene) -> None:
        """Wire-ready; Sender and Reply-To default to From; encoded words stay encoded."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        uid = await append(inbox, user, NESTED)
        a = b'(("A" NIL "a" "example.org"))'
        assert (await column(inbox, Items.ENVELOPE, "envelopes"))[uid] == (
            b'("Fri, 20 Nov 2026 10:00:00 +0100" "=?utf-8?q?caf=C3=A9?= nested" ' + a + b" " + a + b" " + a
            + b' ((NIL NIL "b" "example.net")("C" NIL "c" "example.net")) NIL NIL NIL "<n@example.org>")'
        )  # fmt: skip
        structure = (await column(inbox, Items.BODYSTRUCTURE, "bodystructures"))[uid]
        body = (await column(inbox, Items.BODY, "bodies"))[uid]
        for part in (b'"alternative"', b'"mixed"', b'"quoted-printable" 15 0', b'"html" ("charset" "us-ascii")'):
            assert part in structure and part.split(b" ")[0] in body
        assert b'"attachment"' in structure and b'"attachment"' not in body

    @scenario
    async def test_header_fields(self, scene: Scene) -> None:
        """Raw, in message order, every one of a repeated field, no empty line; names never seen give nothing."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await append(inbox, user, NESTED)
        cases = {
            (b"to", b"from"): b"From: A <a@example.org>\r\nTo: b@example.net, C <c@example.net>\r\n",
            (b"subject",): b"Subject: =?utf-8?q?caf=C3=A9?= nested\r\n",
            (b"x-odd",): b"X-Odd: one\r\nX-Odd: two\r\n folded\r\n",
            (b"x-odd", b"message-id"): b"Message-ID: <n@example.org>\r\nX-Odd: one\r\nX-Odd: two\r\n folded\r\n",
            (b"x-none",): b"",
            (b"cc",): b"",
            (): b"",
        }
        for fields, wanted in cases.items():
            (batch,) = await fetch(inbox, Items(0), header_fields=fields)
            assert batch.headers == [wanted], fields
        await append(inbox, user, b"Subject: no end of header")
        (batch,) = await fetch(inbox, Items.SIZE, Ranges.of(2), header_fields=(b"subject",))
        assert batch.headers == [b"Subject: no end of header\r\n"] and batch.sizes is not None

    @scenario
    async def test_changed_since(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        await scene.fill(inbox, 6)
        before = (await peek(inbox)).highest_modseq
        await inbox.update_messages_flags(Ranges.of(2, 5), FlagsOp.ADD, Flags(SEEN))
        found = [uid for batch in await fetch(inbox, Items.MODSEQ, changed_since=before) for uid in batch.uids]
        assert found == [2, 5]
        assert not await fetch(inbox, Items.FLAGS | Items.SIZE, changed_since=before + 10)

    @scenario
    async def test_fetch_changes_no_flag(self, scene: Scene) -> None:
        inbox = await scene.inbox()
        await scene.fill(inbox, 2)
        before = await peek(inbox)
        for body in (await column(inbox, Items.CONTENT, "contents")).values():
            await body.read()
        after = await peek(inbox)
        assert after.highest_modseq == before.highest_modseq and after.first_unseen_uid == 1

    @scenario
    async def test_left_in_the_middle(self, scene: Scene) -> None:
        """A fetch that is closed, forgotten or kept waiting holds up nobody."""
        user = await scene.user()
        inbox, other = await user.get_mailbox("INBOX"), await scene.inbox()
        await scene.fill(inbox, 700)
        waiting = inbox.list_messages(ALL, FetchRequest(Items.FLAGS | Items.CONTENT))
        first = await anext(aiter(waiting))
        assert len(first.uids) < 700
        await other.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED))
        await other.expunge(Ranges.span(400, 700))
        await scene.fill(other, 3)
        await user.create_mailbox("meanwhile")
        rest = [uid async for batch in waiting for uid in batch.uids]
        assert rest == sorted(rest) and first.uids[-1] < rest[0] and not set(rest) & set(range(400, 701))
        closed = inbox.list_messages(ALL, FetchRequest(Items.CONTENT))
        await anext(aiter(closed))
        await closed.aclose()  # type: ignore[attr-defined]  # asynchronous generators have it
        assert (await other.expunge()).vanished == Ranges.span(1, 399)
        assert await uids_of(inbox) == [701, 702, 703]

    @scenario
    async def test_columns_stay_what_they_were(self, scene: Scene) -> None:
        """A batch and a snapshot once given do not change when the mailbox does."""
        inbox = await scene.inbox()
        await scene.fill(inbox, 10)
        snapshot = await peek(inbox)
        (batch,) = await fetch(inbox, Items.FLAGS | Items.MODSEQ)
        kept = (list(batch.uids), list(batch.flags or ()), list(batch.modseqs or ()))
        await inbox.update_messages_flags(ALL, FlagsOp.SET, Flags(DELETED))
        await inbox.expunge(Ranges.of(1, 5))
        await scene.fill(inbox, 2)
        assert (list(batch.uids), list(batch.flags or ()), list(batch.modseqs or ())) == kept
        assert list(snapshot.uids[: snapshot.count]) == list(range(1, 11))
        uids = (await peek(inbox)).uids
        assert list(uids) == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
