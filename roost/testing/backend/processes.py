"""Two processes on one store: each sees what the other committed, and nothing is lost between them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from roost.storage.api import ANSWERED, DELETED, FLAGGED, Flags, FlagsOp, MailboxState
from roost.testing.backend.harness import ALL, DEADLINE_SECS, Harness, Scene, append, contents, flags_of, uids_of
from roost.testing.backend.random_sessions import Actor, check_numbers
from roost.testing.backend.views import View
from roost.util.ranges import Ranges

Side = Callable[["Peer"], Coroutine[Any, Any, None]]


class Peer:
    """One of the two processes: its scene, and a line to the other for taking turns."""

    def __init__(self, scene: Scene, line: Connection) -> None:
        self.scene = scene
        self.line = line

    async def meet(self, word: object = None) -> Any:
        """Wait until the other is here too; gives what it said."""
        self.line.send(word)
        if not await asyncio.get_running_loop().run_in_executor(None, self.line.poll, DEADLINE_SECS):
            raise TimeoutError("the other process does not answer")
        return self.line.recv()


async def _run(suite: Harness, folder: Path, line: Connection, side: Side) -> None:
    scene = Scene(suite, folder)
    await scene.backend.start()
    try:
        await asyncio.wait_for(side(Peer(scene, line)), DEADLINE_SECS)
    finally:
        await scene.backend.aclose()


def _child(suite: Harness, folder: Path, line: Connection, side: Side) -> None:
    asyncio.run(_run(suite, folder, line, side))


def _play(suite: Harness, folder: Path, here: Side, there: Side) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(suite, folder, theirs, there))
    child.start()
    theirs.close()
    try:
        asyncio.run(_run(suite, folder, ours, here))
        child.join(DEADLINE_SECS)
        assert child.exitcode == 0, "the other process failed"
    finally:
        if child.is_alive():
            child.kill()
        child.join()


class ProcessTests(Harness):
    def _two(self, folder: Path, here: Side, there: Side) -> None:
        if not self.two_processes:
            pytest.skip("one process only")
        _play(self, folder, here, there)

    def test_the_first_login_in_two_processes(self, tmp_path: Path) -> None:
        async def side(peer: Peer) -> None:
            await peer.meet()
            infos = await (await peer.scene.user()).list_mailboxes()
            assert len(infos) == 6
            assert await peer.meet([info.id for info in infos]) == [info.id for info in infos]

        self._two(tmp_path, side, side)

    def test_changes_are_seen(self, tmp_path: Path) -> None:
        async def here(peer: Peer) -> None:
            user = await peer.scene.user()
            inbox = await user.get_mailbox("INBOX")
            for _ in range(3):
                await append(inbox, user, b"one")
            await peer.meet()
            await peer.meet()  # it has a view
            await append(inbox, user, b"two")
            await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(FLAGGED, ("Key",)))
            await inbox.update_messages_flags(Ranges.of(2), FlagsOp.ADD, Flags(DELETED))
            await inbox.expunge()
            await user.create_mailbox("Fresh")
            await user.rename_mailbox("Sent", "Sent items")
            await peer.meet()
            await peer.meet()
            await user.delete_mailbox("Fresh")
            await peer.meet()

        async def there(peer: Peer) -> None:
            await peer.meet()
            user = await peer.scene.user()
            view = await View(await user.get_mailbox("INBOX")).open()
            await user.list_mailboxes()
            await peer.meet()
            await peer.meet()
            await view.sync()
            assert view.uids == [1, 3, 4] and view.flags[1] == {"\\Flagged", "Key"} and view.recent == {1, 2, 3, 4}
            await view.check()
            fresh = await user.get_mailbox("Fresh")
            cursor = (await fresh.select(read_only=True, claim_recent=False)).cursor
            assert (await user.get_mailbox("Sent items")).name == "Sent items"
            await peer.meet()
            await peer.meet()
            assert (await fresh.poll(cursor, claim_recent=False)).state is MailboxState.DELETED

        self._two(tmp_path, here, there)

    def test_appends_and_flags_side_by_side(self, tmp_path: Path) -> None:
        """Every message gets its own uid, no flag is lost, each message is recent once."""

        async def work(peer: Peer, flag: int, text: bytes) -> None:
            user = await peer.scene.user()
            inbox = await user.get_mailbox("INBOX")
            await peer.meet()
            view = await View(inbox).open()
            uids = []
            for n in range(60):
                uids.append(await append(inbox, user, text + b" %d" % n))
                await inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(flag))
                if n % 7 == 0:
                    await view.sync()
            others = await peer.meet(uids)
            assert sorted(uids + others) == list(range(1, 121))
            await inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(flag))
            await peer.meet()
            await view.sync()
            await view.check()
            assert all({"\\Flagged", "\\Answered"} <= names for names in (await flags_of(inbox)).values())
            stored = await contents(inbox)
            assert sum(data.startswith(text) for data in stored.values()) == 60
            recent = await peer.meet(view.recent)
            assert not recent & view.recent and len(recent | view.recent) <= 120

        async def here(peer: Peer) -> None:
            await work(peer, FLAGGED, b"one")

        async def there(peer: Peer) -> None:
            await work(peer, ANSWERED, b"two")

        self._two(tmp_path, here, there)

    def test_random_operations_in_two_processes(self, tmp_path: Path) -> None:
        async def work(peer: Peer, seed: int) -> None:
            await (await peer.scene.user()).list_mailboxes()
            await peer.meet()
            actors = [await Actor(peer.scene, seed + n).open() for n in range(2)]
            await peer.meet()
            await asyncio.gather(*[actor.run(100) for actor in actors])
            stored = sum(actor.stored for actor in actors)
            others = await peer.meet(stored)
            for actor in actors:
                assert await actor.view.sync() is MailboxState.OK
                await actor.view.check()
            await check_numbers(peer.scene, stored + others)
            state = (actors[0].view.uids, actors[0].view.flags)
            theirs = await peer.meet(state)
            assert theirs[0] == state[0] == await uids_of(actors[0].view.mailbox)

        async def here(peer: Peer) -> None:
            await work(peer, 1)

        async def there(peer: Peer) -> None:
            await work(peer, 50)

        self._two(tmp_path, here, there)
