"""Calls that are cancelled, anywhere: whole or not at all, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from roost.storage.api import DELETED, Flags, FlagsOp, Mailbox, User
from roost.testing.backend.harness import (
    ALL,
    Harness,
    Scene,
    append,
    contents,
    new_message,
    numbered,
    peek,
    scenario,
    uids_of,
)
from roost.testing.backend.views import View
from roost.util.ranges import Ranges

MOST_WAITS = 12
BIG = 400_000


class CancelAt:
    """``await CancelAt(coroutine, n)``: the coroutine is cancelled where it waits for the n-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], nth: int) -> None:
        self.coroutine = coroutine
        self.nth = nth
        self.cancelled = False

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.coroutine.__await__()
        waits = 0
        try:
            waiting = next(inner)
            while True:
                if waits == self.nth:
                    self.cancelled = True
                    waiting = inner.throw(asyncio.CancelledError())
                else:
                    waits += 1
                    yield waiting
                    waiting = next(inner)
        except StopIteration as stop:
            return stop.value


async def do_append(mailbox: Mailbox, user: User) -> None:
    await append(mailbox, user, numbered(77))


async def do_append_two_big(mailbox: Mailbox, user: User) -> None:
    data = b"x" * BIG
    with user.new_upload(BIG) as one, user.new_upload(BIG) as two:
        one.write(data)
        two.write(data)
        messages = [type(new_message(user, b""))(upload) for upload in (one, two)]
        await mailbox.create_messages(messages)


async def do_store(mailbox: Mailbox, user: User) -> None:
    await mailbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED, ("Key",)))


async def do_expunge(mailbox: Mailbox, user: User) -> None:
    await mailbox.expunge(Ranges.of(1, 2))


async def do_copy(mailbox: Mailbox, user: User) -> None:
    await mailbox.copy_messages(ALL, "Sent")


async def do_move(mailbox: Mailbox, user: User) -> None:
    await mailbox.move_messages(ALL, "Sent")


async def do_rename(mailbox: Mailbox, user: User) -> None:
    await user.rename_mailbox("INBOX", "Moved")


async def do_select(mailbox: Mailbox, user: User) -> None:
    await mailbox.select(read_only=False, claim_recent=True)


async def do_fetch(mailbox: Mailbox, user: User) -> None:
    await contents(mailbox)


ACTIONS: list[Callable[[Mailbox, User], Coroutine[Any, Any, None]]] = [
    do_append, do_append_two_big, do_store, do_expunge, do_copy, do_move, do_rename, do_select, do_fetch,
]  # fmt: skip


class InterruptionTests(Harness):
    @pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
    def test_cancelled_at_every_wait(
        self, tmp_path: object, action: Callable[[Mailbox, User], Coroutine[Any, Any, None]]
    ) -> None:
        async def run(self: InterruptionTests, scene: Scene) -> None:
            for nth in range(MOST_WAITS):
                name = f"u{nth}"
                user = await scene.user(name)
                inbox = await user.get_mailbox("INBOX")
                for number in (1, 2):
                    await append(inbox, user, numbered(number), DELETED)
                view = await View(await (await scene.user(name)).get_mailbox("INBOX")).open()
                call = CancelAt(action(inbox, user), nth)
                try:
                    await call
                except asyncio.CancelledError:
                    assert call.cancelled
                await self._check(scene, name, view)
                if not call.cancelled:
                    return
            raise AssertionError("waits more often than a call should")

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    async def _check(self, scene: Scene, name: str, view: View) -> None:
        """The store works, the view is right, every message is whole and where it should be."""
        user = await scene.user(name)
        inbox = await user.get_mailbox("INBOX")
        await append(inbox, user, numbered(9))  # waits for whatever still runs
        await view.sync()
        await view.check()
        found: list[bytes] = []
        for info in await user.list_mailboxes():
            mailbox = await user.get_mailbox(info.name)
            whole = await contents(mailbox)
            assert len(whole) == (await peek(mailbox)).count
            found += whole.values()
        big = found.count(b"x" * BIG)
        assert big in (0, 2), "half a MULTIAPPEND"
        rest = [data for data in found if len(data) < BIG]
        assert set(rest) <= {numbered(n) for n in (1, 2, 9, 77)} and rest.count(numbered(9)) == 1

    @scenario
    async def test_nothing_temporary_stays(self, scene: Scene) -> None:
        """An upload that is aborted or never used leaves no file."""
        user = await scene.user()
        inbox = await user.get_mailbox("INBOX")
        await append(inbox, user, b"x" * BIG)
        before = sorted(path for path in scene.folder.rglob("*") if path.is_file())
        with user.new_upload(BIG) as upload:
            upload.write(b"y" * BIG)
        given_up = user.new_upload(BIG)
        given_up.write(b"z" * BIG)
        given_up.abort()
        given_up.abort()
        del given_up
        assert sorted(path for path in scene.folder.rglob("*") if path.is_file()) == before
        assert await uids_of(inbox) == [1]
