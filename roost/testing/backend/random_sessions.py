"""Several sessions doing anything in any order: each view is always a consistent cut, and in the end the mailbox."""

from __future__ import annotations

import asyncio
import random

import pytest

from roost.storage.api import Flags, FlagsOp, MailboxState
from roost.testing.backend.harness import ALL, Harness, Scene, append, contents, peek, scenario, uids_of
from roost.testing.backend.views import View
from roost.util.ranges import Ranges

STEPS = 250
KEYWORDS = ("$Junk", "Later", "$MDNSent")


class Actor:
    """One session with a view of INBOX."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.random = random.Random(seed)
        self.view: View
        self.stored = 0

    async def open(self) -> Actor:
        self.user = await self.scene.user()
        self.view = await View(await self.user.get_mailbox("INBOX")).open()
        return self

    def some(self) -> Ranges:
        """Messages that the view has, and now and then one that it has not."""
        chosen = [uid for uid in self.view.uids if self.random.random() < 0.3]
        if self.random.random() < 0.2:
            chosen.append(self.view.uidnext + 3)
        return Ranges.of(*chosen) if self.random.random() < 0.8 else ALL

    def flags(self) -> Flags:
        keywords = tuple(k for k in KEYWORDS if self.random.random() < 0.3)
        return Flags(self.random.choice([0, 1, 2, 4, 8, 16, 9, 21]), keywords)

    async def step(self) -> None:
        view, box = self.view, self.view.mailbox
        match self.random.randrange(10):
            case 0 | 1:
                await append(box, self.user, b"Subject: %d\r\n\r\n" % self.random.randrange(1000))
                self.stored += 1
            case 2 | 3 | 4:
                await view.store(self.some(), self.random.choice(list(FlagsOp)), self.flags())
            case 5:
                await view.expunge(self.some() if self.random.random() < 0.5 else None)
            case 6:
                self.stored += len((await box.copy_messages(self.some() & Ranges.span(1, 40), "INBOX")).dest)
            case 7:
                result = await box.move_messages(self.some(), "Trash")
                view.uids = [uid for uid in view.uids if uid not in result.source]
                view.own.add(result.modseq)
            case _:
                assert await view.sync() is MailboxState.OK

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await self.step()
            await asyncio.sleep(0)


class RandomSessionTests(Harness):
    @pytest.mark.parametrize("seed", range(4))
    def test_three_sessions(self, tmp_path: object, seed: int) -> None:
        async def run(self: RandomSessionTests, scene: Scene) -> None:
            actors = [await Actor(scene, 100 * seed + n).open() for n in range(3)]
            order = random.Random(seed)
            for _ in range(STEPS):
                await order.choice(actors).step()
            for actor in actors:
                assert await actor.view.sync() is MailboxState.OK
                await actor.view.check()
            await check_numbers(scene, sum(actor.stored for actor in actors))

        scenario(run)(self, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path

    @scenario
    async def test_three_sessions_at_the_same_time(self, scene: Scene) -> None:
        """Nobody waits for another's turn."""
        actors = [await Actor(scene, n).open() for n in range(3)]
        await asyncio.gather(*[actor.run(STEPS // 2) for actor in actors])
        for actor in actors:
            assert await actor.view.sync() is MailboxState.OK
            await actor.view.check()
        await check_numbers(scene, sum(actor.stored for actor in actors))


async def check_numbers(scene: Scene, stored: int) -> None:
    """Counts agree with the rows; every message ever stored had a UID of its own."""
    inbox, trash = await scene.inbox(), await scene.box("Trash")
    for mailbox in (inbox, trash):
        status, snapshot = await mailbox.status(), await peek(mailbox)
        bodies = await contents(mailbox)
        assert status.messages == snapshot.count == len(bodies) == len(await uids_of(mailbox))
        assert status.size_octets == sum(len(data) for data in bodies.values())
    assert (await inbox.status()).uidnext == stored + 1
