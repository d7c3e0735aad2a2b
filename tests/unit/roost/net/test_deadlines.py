"""The wheel, on a loop whose clock is ours."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from roost.net.deadlines import Timer, Wheel


class FakeLoop:
    def __init__(self) -> None:
        self.now = 100.25
        self.calls: list[tuple[float, int, FakeHandle]] = []
        self.errors: list[Any] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeHandle:
        handle = FakeHandle(callback)
        self._count += 1
        heapq.heappush(self.calls, (when, self._count, handle))
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context["exception"])

    @property
    def armed(self) -> int:
        return sum(not handle.cancelled for _when, _count, handle in self.calls)

    def advance(self, secs: float) -> None:
        end = self.now + secs
        while self.calls and self.calls[0][0] <= end:
            when, _count, handle = heapq.heappop(self.calls)
            self.now = max(self.now, when)
            if not handle.cancelled:
                handle.callback()
        self.now = end


class FakeHandle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def make() -> tuple[FakeLoop, Wheel]:
    loop = FakeLoop()
    return loop, Wheel(loop)  # type: ignore[arg-type]


def test_fires_once_never_early_at_most_a_second_late() -> None:
    loop, wheel = make()
    fired: list[float] = []
    Timer(wheel).set(5, lambda: fired.append(loop.now))
    loop.advance(4.99)
    assert fired == []
    loop.advance(1.01)
    assert len(fired) == 1 and 105.25 <= fired[0] <= 106.25
    loop.advance(100)
    assert len(fired) == 1


def test_pushing_back_arms_nothing_new() -> None:
    loop, wheel = make()
    fired: list[float] = []
    timer = Timer(wheel)
    timer.set(10, lambda: fired.append(loop.now))
    for _ in range(1000):
        loop.advance(0.5)
        timer.set(10)
        assert loop.armed == 1
    assert fired == []
    loop.advance(11)
    assert len(fired) == 1


def test_an_earlier_deadline_counts() -> None:
    loop, wheel = make()
    fired: list[float] = []
    timer = Timer(wheel)
    timer.set(100, lambda: fired.append(loop.now))
    timer.set(2)
    loop.advance(3.1)
    assert len(fired) == 1
    loop.advance(200)
    assert len(fired) == 1


def test_cancelled_timers_leave_nothing_behind() -> None:
    loop, wheel = make()
    timers = [Timer(wheel) for _ in range(1000)]
    for timer in timers:
        timer.set(50, lambda: None)
    for timer in timers:
        timer.cancel()
        assert not timer.armed
    assert sum(map(len, wheel._buckets.values())) == 0
    loop.advance(60)


def test_a_callback_may_set_and_cancel_others() -> None:
    loop, wheel = make()
    fired: list[str] = []
    a, b, c = Timer(wheel), Timer(wheel), Timer(wheel)

    def first() -> None:
        fired.append("a")
        for other in (b, c):
            if other.armed:
                other.cancel()
        a.set(3, lambda: fired.append("again"))

    for timer in (a, b, c):
        timer.set(1, first)
    loop.advance(2)
    assert fired == ["a"]
    loop.advance(5)
    assert fired == ["a", "again"]


def test_a_failing_callback_does_not_stop_the_wheel() -> None:
    loop, wheel = make()
    fired: list[int] = []

    def fail() -> None:
        raise RuntimeError("x")

    Timer(wheel).set(1, fail)
    Timer(wheel).set(3, lambda: fired.append(1))
    loop.advance(10)
    assert fired == [1] and isinstance(loop.errors[0], RuntimeError)


@pytest.mark.parametrize("seed", range(30))
def test_random_use_against_a_model(seed: int) -> None:
    chance = random.Random(seed)
    loop, wheel = make()
    timers = [Timer(wheel) for _ in range(10)]
    due: dict[int, float] = {}
    fired: list[tuple[int, float]] = []

    def fire(which: int) -> None:
        fired.append((which, loop.now))

    for _step in range(200):
        which = chance.randrange(10)
        if chance.random() < 0.2:
            timers[which].cancel()
            due.pop(which, None)
        else:
            secs = chance.choice([0.1, 0.9, 1, 2.5, 7, 30])
            timers[which].set(secs, partial(fire, which))
            due[which] = loop.now + secs
        fired.clear()
        loop.advance(chance.random() * 3)
        for number, when in fired:
            assert due.pop(number) <= when + 1e-9
        assert not [number for number, when in due.items() if when + 1.01 < loop.now]
