"""Answers to failed authentications, held back: not before ``auth_failure_delay``, on a 500 ms beat, in shuffled order.

So guessing is slow, and neither the order nor the moment of an answer says where a request failed.

The queue is bounded (``auth_failure_queue_limit``). When it is full, the oldest answer leaves early to make room for
the new one: memory stays bounded, nobody waits longer than the delay, and whoever fills it (more than the limit in
one delay, over connections that are limited themselves) gains only answers a little sooner. A cancelled request
leaves at once. ``flush`` releases everything when the process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

BEAT_SECS = 0.5


class Held(Protocol):
    """An answer in the queue."""

    def release(self) -> None:
        """Send it."""
        ...


class Timers(Protocol):
    """What the queue needs of a loop; tests give it a virtual one."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> object: ...


class FailureQueue:
    """See the head of this file."""

    def __init__(self, timers: Timers, *, delay_secs: float, limit: int, random: Random) -> None:
        self._timers = timers
        self._delay_secs = delay_secs
        self._limit = limit
        self._random = random
        self._held: dict[Held, float] = {}  # in the order of their time, for the delay is the same for all
        self._beating = False
        self.released_early = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, answer: Held) -> None:
        """Release ``answer`` after the delay; at once when the delay is 0."""
        if self._delay_secs <= 0:
            answer.release()
            return
        if len(self._held) >= self._limit:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self.released_early += 1
            oldest.release()
        self._held[answer] = self._timers.time() + self._delay_secs
        if not self._beating:
            self._beating = True
            self._timers.call_later(BEAT_SECS, self._beat)

    def drop(self, answer: Held) -> None:
        """Nobody waits for it any more."""
        self._held.pop(answer, None)

    def flush(self) -> None:
        """Release everything now."""
        held, self._held = list(self._held), {}
        self._random.shuffle(held)
        for answer in held:
            answer.release()

    def _beat(self) -> None:
        now = self._timers.time()
        due = []
        for answer, at in self._held.items():
            if at > now:
                break
            due.append(answer)
        for answer in due:
            del self._held[answer]
        if self._held:
            self._timers.call_later(BEAT_SECS, self._beat)
        else:
            self._beating = False
        self._random.shuffle(due)
        for answer in due:
            answer.release()
