"""The failure queue: not before its time, bounded, shuffled, flushed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from services.auth.failures import FailureQueue


class VirtualTimers:
    """A loop's clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, int, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> object:
        heapq.heappush(self.calls, (self.now + delay, len(self.calls), callback))
        return None

    def advance(self, secs: float) -> None:
        end = self.now + secs
        while self.calls and self.calls[0][0] <= end:
            self.now, _, callback = heapq.heappop(self.calls)
            callback()
        self.now = end


class Answer:
    def __init__(self, number: int, released: list[int]) -> None:
        self.number = number
        self.released = released

    def release(self) -> None:
        self.released.append(self.number)


def queue(limit: int = 1000, delay_secs: float = 2) -> tuple[FailureQueue, VirtualTimers]:
    timers = VirtualTimers()
    return FailureQueue(timers, delay_secs=delay_secs, limit=limit, random=Random(7)), timers


def test_an_answer_waits_for_the_delay_and_then_for_the_beat() -> None:
    failures, timers = queue()
    released: list[int] = []
    failures.hold(Answer(1, released))
    timers.advance(0.3)
    failures.hold(Answer(2, released))
    timers.advance(1.69)
    assert released == []
    timers.advance(0.02)
    assert released == [1]
    timers.advance(0.5)
    assert released == [1, 2]
    assert len(failures) == 0 and timers.calls == []


def test_answers_of_one_beat_are_shuffled() -> None:
    failures, timers = queue()
    released: list[int] = []
    for number in range(100):
        failures.hold(Answer(number, released))
    timers.advance(2.5)
    assert sorted(released) == list(range(100)) and released != list(range(100))


def test_no_delay_answers_at_once() -> None:
    failures, timers = queue(delay_secs=0)
    released: list[int] = []
    failures.hold(Answer(1, released))
    assert released == [1] and timers.calls == []


def test_a_full_queue_releases_its_oldest() -> None:
    failures, timers = queue(limit=3)
    released: list[int] = []
    for number in range(5):
        failures.hold(Answer(number, released))
    assert released == [0, 1] and len(failures) == 3 and failures.released_early == 2
    timers.advance(2.5)
    assert sorted(released) == [0, 1, 2, 3, 4]


def test_a_dropped_answer_is_never_sent_and_leaves_at_once() -> None:
    failures, timers = queue()
    released: list[int] = []
    answers = [Answer(number, released) for number in range(10_000)]
    for answer in answers:
        failures.hold(answer)
        failures.drop(answer)
    assert len(failures) == 0
    failures.drop(answers[0])
    timers.advance(10)
    assert released == []


def test_flush_releases_everything() -> None:
    failures, timers = queue()
    released: list[int] = []
    for number in range(20):
        failures.hold(Answer(number, released))
    failures.flush()
    assert sorted(released) == list(range(20)) and len(failures) == 0
    timers.advance(5)
    assert len(released) == 20


def test_the_queue_works_again_after_it_was_empty() -> None:
    failures, timers = queue()
    released: list[int] = []
    failures.hold(Answer(1, released))
    timers.advance(10)
    failures.hold(Answer(2, released))
    timers.advance(2.5)
    assert released == [1, 2]
