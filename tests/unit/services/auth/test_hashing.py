"""Slow hashes: off the loop, in turn by address, bounded, and cancellable."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from roost.errors import Unavailable
from services.auth.hashing import Hasher
from services.auth.schemes import SCHEMES, BadHash, Stored, parse, write


class Gate:
    """Work that stays in its thread until the gate opens."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.order: list[str] = []

    def work(self, name: str) -> bool:
        self.open.wait(10)
        self.order.append(name)
        return True


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_cheap_schemes_are_verified_at_once_and_slow_ones_in_a_thread() -> None:
    async def run() -> None:
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
        assert await hasher.verify(parse("{PLAIN}x", SCHEMES, "PLAIN"), b"x", "a")
        scheme = SCHEMES["BLF-CRYPT"]
        stored = parse(write(scheme, scheme.generate(b"x", 4, os.urandom)), SCHEMES, "PLAIN")
        assert await hasher.verify(stored, b"x", "a")
        assert not await hasher.verify(stored, b"y", "a")
        with pytest.raises(BadHash):
            await hasher.verify(Stored(scheme, b"broken"), b"x", "a")
        assert await hasher.verify(stored, b"x", "a")  # a failure gives its thread back
        hasher.close()

    asyncio.run(run())


def test_an_address_that_floods_waits_behind_itself() -> None:
    async def run() -> None:
        gate = Gate()
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=100)
        flood = [asyncio.ensure_future(hasher.run(lambda: gate.work("flood"), "attacker")) for _ in range(20)]
        await settled()
        single = asyncio.ensure_future(hasher.run(lambda: gate.work("single"), "friend"))
        await settled()
        assert hasher.waiting == 20
        gate.open.set()
        await asyncio.gather(*flood, single)
        assert gate.order.index("single") <= 2
        hasher.close()

    asyncio.run(run())


def test_a_full_queue_turns_the_flood_away_and_not_the_others() -> None:
    async def run() -> None:
        gate = Gate()
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
        flood = [asyncio.ensure_future(hasher.run(lambda: gate.work("flood"), "attacker")) for _ in range(50)]
        await settled()
        friends = [
            asyncio.ensure_future(hasher.run(lambda: gate.work("friend"), f"friend {number}")) for number in range(3)
        ]
        await settled()
        assert hasher.waiting == 10
        gate.open.set()
        assert await asyncio.gather(*friends) == [True, True, True]
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(result is True for result in results) == 8
        assert sum(isinstance(result, Unavailable) for result in results) == 42
        assert hasher.waiting == 0
        hasher.close()

    asyncio.run(run())


def test_cancelled_ones_leave_their_place_and_no_thread_is_lost() -> None:
    async def run() -> None:
        gate = Gate()
        hasher = Hasher(asyncio.get_running_loop(), threads=2, limit=1000)
        tasks = [asyncio.ensure_future(hasher.run(lambda: gate.work("x"), f"{number % 7}")) for number in range(100)]
        await settled()
        for task in tasks[1:]:  # one of those at work, and everything that waits
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        assert hasher.waiting == 0
        gate.open.set()
        assert await tasks[0]
        assert await asyncio.gather(*(hasher.run(lambda: gate.work("y"), "z") for _ in range(4))) == [True] * 4
        hasher.close()

    asyncio.run(run())


def test_a_turn_that_came_while_its_owner_was_cancelled_goes_to_the_next() -> None:
    async def run() -> None:
        gate = Gate()
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
        first = asyncio.ensure_future(hasher.run(lambda: True, "a"))
        second = asyncio.ensure_future(hasher.run(lambda: gate.work("second"), "b"))
        third = asyncio.ensure_future(hasher.run(lambda: gate.work("third"), "c"))
        await settled()
        gate.open.set()
        first.add_done_callback(lambda _: second.cancel())
        results = await asyncio.gather(first, second, third, return_exceptions=True)
        assert results[0] is True and results[2] is True
        assert await hasher.run(lambda: gate.work("fourth"), "d")
        hasher.close()

    asyncio.run(run())


def test_close_fails_what_waits() -> None:
    async def run() -> None:
        gate = Gate()
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
        tasks = [asyncio.ensure_future(hasher.run(lambda: gate.work("x"), "a")) for _ in range(3)]
        await settled()
        threading.Timer(0.05, gate.open.set).start()
        hasher.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results[1:]] == [Unavailable, Unavailable]

    asyncio.run(run())
