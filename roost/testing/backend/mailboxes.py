"""Mailboxes: names, the tree, special use, subscriptions, UIDVALIDITY."""

from __future__ import annotations

import pytest

from roost.errors import (
    InvalidName,
    LimitExceeded,
    MailboxAlreadyExists,
    MailboxHasChildren,
    NoSuchMailbox,
    Refused,
)
from roost.storage.api import MailboxState
from roost.testing.backend.harness import Harness, Scene, append, contents, names, peek, scenario, uids_of


class MailboxTests(Harness):
    @scenario
    async def test_a_new_user_has_inbox_and_the_special_mailboxes(self, scene: Scene) -> None:
        user = await scene.user()
        assert user.username == "u1"
        infos = {info.name: info for info in await user.list_mailboxes()}
        assert list(infos) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
        assert infos["Sent"].attributes == {"\\Sent"} and infos["INBOX"].attributes == frozenset()
        assert all(info.subscribed and info.selectable and info.separator == "/" for info in infos.values())
        assert len({info.id for info in infos.values()}) == len(infos)

    @scenario
    async def test_users_are_apart(self, scene: Scene) -> None:
        one, two = await scene.user("u1"), await scene.user("u2")
        await one.create_mailbox("Mine")
        await append(await one.get_mailbox("INBOX"), one, b"A: b\r\n\r\n")
        assert "Mine" not in names(await two.list_mailboxes())
        assert (await (await two.get_mailbox("INBOX")).status()).messages == 0

    @scenario
    async def test_create(self, scene: Scene) -> None:
        user = await scene.user()
        info = await user.create_mailbox("Work", special_use=["\\Archive"])
        assert (info.name, set(info.attributes), info.selectable) == ("Work", {"\\Archive"}, True)
        mailbox = await user.get_mailbox("Work")
        assert (mailbox.name, mailbox.id) == ("Work", info.id)
        assert (await mailbox.info()) == info
        with pytest.raises(MailboxAlreadyExists):
            await user.create_mailbox("Work")
        with pytest.raises(MailboxAlreadyExists):
            await user.create_mailbox("inBOX")

    @scenario
    async def test_create_makes_parents(self, scene: Scene) -> None:
        user = await scene.user()
        before = len(await user.list_mailboxes())
        await user.create_mailbox("INBOX/FOOBAR/BAR")
        infos = {info.name: info for info in await user.list_mailboxes()}
        assert len(infos) == before + 2  # INBOX is there already
        for name in ("INBOX", "INBOX/FOOBAR", "INBOX/FOOBAR/BAR"):
            assert (await user.get_mailbox(name)).name == name
            assert infos[name].has_children == (name != "INBOX/FOOBAR/BAR")

    @scenario
    async def test_delete_once(self, scene: Scene) -> None:
        user = await scene.user()
        await user.create_mailbox("TEST")
        await user.delete_mailbox("TEST")
        with pytest.raises(NoSuchMailbox):
            await user.delete_mailbox("TEST")
        with pytest.raises(NoSuchMailbox):
            await user.get_mailbox("TEST")
        assert "TEST" not in names(await user.list_mailboxes())
        with pytest.raises(Refused):
            await user.delete_mailbox("INBOX")

    @scenario
    async def test_delete_keeps_children(self, scene: Scene) -> None:
        """A mailbox with children becomes \\Noselect; deleting that name is refused; it can be made anew."""
        user = await scene.user()
        await user.create_mailbox("TEST/FOOBAR/FOO")
        await user.delete_mailbox("TEST")
        infos = {info.name: info for info in await user.list_mailboxes()}
        assert infos["TEST"].attributes == {"\\Noselect"} and infos["TEST"].has_children
        assert infos["TEST/FOOBAR"].selectable and infos["TEST/FOOBAR/FOO"].selectable
        with pytest.raises(NoSuchMailbox):
            await user.get_mailbox("TEST")
        with pytest.raises(MailboxHasChildren):
            await user.delete_mailbox("TEST")
        await user.create_mailbox("TEST")
        assert (await user.get_mailbox("TEST")).name == "TEST"

    @scenario
    async def test_noselect_names_vanish_with_their_last_child(self, scene: Scene) -> None:
        user = await scene.user()
        await user.create_mailbox("a/b/c")
        await user.delete_mailbox("a")
        await user.delete_mailbox("a/b")
        await user.delete_mailbox("a/b/c")
        assert not [name for name in names(await user.list_mailboxes()) if name.startswith("a")]

    @scenario
    async def test_rename(self, scene: Scene) -> None:
        """The mailbox object, its id and its messages are the same under the new name."""
        user = await scene.user()
        await user.create_mailbox("Old")
        mailbox = await user.get_mailbox("Old")
        await append(mailbox, user, b"A: b\r\n\r\n")
        before = await peek(mailbox)
        await user.rename_mailbox("Old", "New")
        with pytest.raises(NoSuchMailbox):
            await user.get_mailbox("Old")
        renamed = await user.get_mailbox("New")
        assert (renamed.id, mailbox.name) == (mailbox.id, "New")
        after = await peek(renamed)
        assert (after.uidvalidity, after.uidnext, list(after.uids)) == (before.uidvalidity, 2, [1])
        with pytest.raises(NoSuchMailbox):
            await user.rename_mailbox("Old", "Other")
        with pytest.raises(MailboxAlreadyExists):
            await user.rename_mailbox("New", "Sent")
        with pytest.raises(InvalidName):
            await user.rename_mailbox("New", "New/inside")

    @scenario
    async def test_rename_takes_children_along_and_makes_parents(self, scene: Scene) -> None:
        user = await scene.user()
        await user.create_mailbox("TEST/FOOBAR/FOO")
        await user.rename_mailbox("TEST", "Up/There")
        found = [name for name in names(await user.list_mailboxes()) if name.startswith(("TEST", "Up"))]
        assert found == ["Up", "Up/There", "Up/There/FOOBAR", "Up/There/FOOBAR/FOO"]
        for name in found:
            assert (await user.get_mailbox(name)).name == name

    @scenario
    async def test_rename_of_a_noselect_name_moves_its_children(self, scene: Scene) -> None:
        user = await scene.user()
        await user.create_mailbox("a/b")
        await user.delete_mailbox("a")
        await user.rename_mailbox("a", "z")
        infos = {info.name: info for info in await user.list_mailboxes() if info.name[0] in "az"}
        assert list(infos) == ["z", "z/b"] and not infos["z"].selectable

    @scenario
    async def test_rename_inbox_moves_its_messages(self, scene: Scene) -> None:
        """INBOX stays, empty; its children are untouched; the UIDs of INBOX go on."""
        user = await scene.user()
        await user.create_mailbox("INBOX/child")
        inbox = await user.get_mailbox("INBOX")
        for number in range(3):
            await append(inbox, user, b"A: %d\r\n\r\n" % number, 1, ("$Label",))
        view = await peek(inbox)
        await user.rename_mailbox("INBOX", "Old mail")
        assert {"INBOX", "INBOX/child", "Old mail"} <= set(names(await user.list_mailboxes()))
        assert await uids_of(inbox) == []
        old = await user.get_mailbox("Old mail")
        assert sorted((await contents(old)).values()) == [b"A: 0\r\n\r\n", b"A: 1\r\n\r\n", b"A: 2\r\n\r\n"]
        assert (await peek(old)).keywords == ("$Label",)
        assert (await inbox.poll(view.cursor, claim_recent=False)).vanished.format() == b"1:3"
        assert await append(inbox, user, b"A: 4\r\n\r\n") == 4

    @scenario
    async def test_uidvalidity_grows_for_a_name(self, scene: Scene) -> None:
        """A name deleted and made again, or given to another mailbox, has a greater UIDVALIDITY than before."""
        user = await scene.user()
        seen = 0
        for _ in range(3):
            await user.create_mailbox("Box")
            fresh = (await peek(await user.get_mailbox("Box"))).uidvalidity
            assert fresh > seen
            seen = fresh
            await user.delete_mailbox("Box")
        first = await user.create_mailbox("First")
        await user.create_mailbox("Second")
        second = await peek(await user.get_mailbox("Second"))
        await user.delete_mailbox("Second")
        handle = await user.get_mailbox("First")
        view = await peek(handle)
        await user.rename_mailbox("First", "Second")
        renamed = await user.get_mailbox("Second")
        assert renamed.id == first.id
        assert (await peek(renamed)).uidvalidity > second.uidvalidity
        changes = await handle.poll(view.cursor, claim_recent=False)
        assert changes.state is MailboxState.UIDVALIDITY_CHANGED

    @scenario
    async def test_subscriptions_are_by_name(self, scene: Scene) -> None:
        """They come and go, and outlive their mailbox."""
        user = await scene.user()
        await user.create_mailbox("News/today")
        await user.set_subscribed("News/today", True)
        await user.set_subscribed("News/today", True)
        await user.set_subscribed("Trash", False)
        await user.delete_mailbox("News/today")
        infos = {info.name: info for info in await user.list_mailboxes(subscribed=True)}
        assert infos["News/today"].attributes == {"\\NonExistent"} and not infos["News/today"].selectable
        assert "Trash" not in infos and "INBOX" in infos
        assert not {i.name: i for i in await user.list_mailboxes()}["Trash"].subscribed
        await user.set_subscribed("News/today", False)
        assert "News/today" not in names(await user.list_mailboxes(subscribed=True))

    @scenario
    async def test_names(self, scene: Scene) -> None:
        """NFC, INBOX in any case also as a parent, odd but legal characters; what cannot be is InvalidName."""
        user = await scene.user()
        for name in (
            "a&b",
            "\N{GRINNING FACE} mail",
            "..",
            "~root",
            "-n",
            "a.b",
            "100% sure",
            "back\\slash",
            "x" * 255,
        ):
            await user.create_mailbox(name)
            assert (await user.get_mailbox(name)).name == name
        await user.create_mailbox("Caf\N{LATIN SMALL LETTER E WITH ACUTE}")
        with pytest.raises(MailboxAlreadyExists):
            await user.create_mailbox("Cafe\N{COMBINING ACUTE ACCENT}")
        assert (await user.get_mailbox("Cafe\N{COMBINING ACUTE ACCENT}")).name.endswith("\u00e9")
        await user.create_mailbox("inbox/Sub")
        assert (await user.get_mailbox("InBox/Sub")).name == "INBOX/Sub"
        for bad in ("", "/", "a//b", "/a", "a/", "a\x00b", "a\nb", "a\x7f", "x" * 256, "\ud800", "/".join("a" * 21)):
            with pytest.raises(InvalidName):
                await user.create_mailbox(bad)
            with pytest.raises(InvalidName):
                await user.rename_mailbox("a&b", bad)
        with pytest.raises(NoSuchMailbox):
            await user.get_mailbox("../u2/INBOX")

    @scenario
    async def test_the_number_of_mailboxes_is_bounded(self, scene: Scene) -> None:
        await scene.restart(mailbox_max_count=10)
        user = await scene.user()
        room = 10 - len(await user.list_mailboxes())
        for number in range(room):
            await user.create_mailbox(f"n{number}")
        with pytest.raises(LimitExceeded):
            await user.create_mailbox("one more")
        await user.delete_mailbox("n0")
        with pytest.raises(LimitExceeded):
            await user.create_mailbox("two/levels")

    @scenario
    async def test_deleted_and_renamed_under_a_view(self, scene: Scene) -> None:
        """A view of a deleted mailbox learns it from poll; a rename disturbs nobody."""
        user, other = await scene.user(), await scene.user()
        await user.create_mailbox("Box")
        view = await user.get_mailbox("Box")
        await append(view, user, b"A: b\r\n\r\n")
        cursor = (await view.select(read_only=False, claim_recent=True)).cursor
        await other.rename_mailbox("Box", "Box2")
        assert (await view.poll(cursor, claim_recent=True)).state is MailboxState.OK
        assert await append(view, user, b"A: c\r\n\r\n") == 2
        await other.delete_mailbox("Box2")
        assert (await view.poll(cursor, claim_recent=True)).state is MailboxState.DELETED
        for call in (view.status(), view.select(read_only=True, claim_recent=False), view.expunge()):
            with pytest.raises(NoSuchMailbox):
                await call
        await other.create_mailbox("Box2")
        assert (await view.poll(cursor, claim_recent=True)).state is MailboxState.DELETED
