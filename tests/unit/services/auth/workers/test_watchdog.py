"""The watchdog of a worker: what it calls stuck, whom it names, and that it sleeps while nothing is asked."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from kit.wait import nothing_happens, until, wait_for

from roost.events.log import Log, Sink
from roost.worker.offload import Offload
from services.auth.workers.watchdog import Watchdog


class Work:
    def __init__(self, label: str) -> None:
        self.label = label
        self.given_up = ""

    def give_up(self, reason: str) -> None:
        self.given_up = reason


class Place:
    """A watchdog that logs and does not kill."""

    def __init__(self, folder: Path, *, stuck_secs: float = 0.3, call_secs: float = 0.6) -> None:
        self.loop = asyncio.get_running_loop()
        self.path = folder / "log"
        self._out = os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600)
        log = Log("auth-worker: ", Sink(self._out))
        self.dog = Watchdog(self.loop, log, stuck_secs=stuck_secs, call_secs=call_secs, end=False)
        self.pool = Offload(self.loop)
        self.offload = self.dog.offload(self.pool)

    def close(self) -> None:
        self.dog.close()
        self.pool.close()
        os.close(self._out)


def busy(secs: float) -> None:
    """Use so much CPU."""
    end = time.thread_time() + secs
    while time.thread_time() < end:
        pass


def test_a_blocked_loop(tmp_path: Path) -> None:
    async def main() -> None:
        place = Place(tmp_path)
        guilty, other = Work("PASSV(guilty)"), Work("PASSV(other)")
        release = threading.Event()

        async def run(work: Work, *, blocks: bool) -> None:
            place.dog.enter(work)
            if blocks:
                release.wait(10)  # holds up the loop
            else:
                await nothing_happens(0.05)
            place.dog.leave(work)

        def let_go() -> None:
            wait_for(lambda: place.dog.fired and guilty.given_up, 8)
            release.set()

        helper = threading.Thread(target=let_go)
        helper.start()
        await asyncio.gather(run(other, blocks=False), run(guilty, blocks=True))
        helper.join()
        assert place.dog.fired == "PASSV(guilty) has blocked the loop for 0.3 s"
        assert guilty.given_up and not other.given_up
        assert "run" in place.path.read_text(), "the log says where"
        place.close()

    asyncio.run(main())


def test_a_busy_call_in_a_thread(tmp_path: Path) -> None:
    async def main() -> None:
        place = Place(tmp_path, call_secs=60)
        work = Work("USER(busy)")
        place.dog.enter(work)
        await place.offload(busy, 1.5)
        await until(lambda: place.dog.fired)
        assert place.dog.fired == "USER(busy) has used 0.3 s of CPU in one call" and work.given_up
        place.dog.leave(work)
        place.close()

    asyncio.run(main())


def test_a_call_that_waits(tmp_path: Path) -> None:
    """Waiting is no crime, for ``call_secs``."""

    async def main() -> None:
        place = Place(tmp_path, call_secs=1.0)
        work = Work("PASSV(waits)")
        place.dog.enter(work)
        await place.offload(threading.Event().wait, 0.6)
        assert not place.dog.fired
        waiting = asyncio.ensure_future(place.offload(threading.Event().wait, 1.8))
        await until(lambda: place.dog.fired)
        assert place.dog.fired == "PASSV(waits) is still in its call after 1 s" and work.given_up
        await waiting
        place.close()

    asyncio.run(main())


def test_nothing_wrong(tmp_path: Path) -> None:
    async def main() -> None:
        place = Place(tmp_path, stuck_secs=0.5)
        for number in range(20):
            work = Work(f"PASSV(u{number})")
            place.dog.enter(work)
            assert await place.offload(len, "four") == 4
            await nothing_happens(0.02)
            place.dog.leave(work)
        with pytest.raises(ZeroDivisionError):
            await place.offload(divmod, 1, 0)
        await until(lambda: place.dog._timer is None, "it sleeps")
        assert not place.dog._busy.is_set() and not place.dog._calls and not place.dog.fired
        again = Work("PASSV(again)")
        place.dog.enter(again)
        assert place.dog._busy.is_set(), "and wakes"
        place.dog.leave(again)
        place.close()
        assert place.path.read_text() == ""

    asyncio.run(main())
