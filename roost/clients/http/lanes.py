"""Many deadlines of few lengths with one timer for each length: no timer per request.

Entries of one length expire in the order they came, so a lane is a queue whose head has the next deadline. Leaving
early costs one dictionary deletion. Deadlines fire to the millisecond of the loop's clock, never early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """``expired`` is called on the loop with each entry that stayed its time; it has left by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[T], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._lanes: dict[int, dict[T, float]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def enter(self, msecs: int, entry: T) -> None:
        """``entry`` (hashable, in no lane of this length) expires in ``msecs``."""
        due = self._loop.time() + msecs / 1000
        lane = self._lanes.get(msecs)
        if lane is None:
            lane = self._lanes[msecs] = {}
        lane[entry] = due
        if msecs not in self._timers:
            self._timers[msecs] = self._loop.call_at(due, self._turn, msecs)

    def leave(self, msecs: int, entry: T) -> None:
        """Again is fine."""
        lane = self._lanes.get(msecs)
        if lane is not None:
            lane.pop(entry, None)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._lanes.clear()

    def _turn(self, msecs: int) -> None:
        self._timers.pop(msecs, None)
        lane = self._lanes.get(msecs)
        now = self._loop.time() + 0.0005
        late: list[T] = []
        if lane:
            for entry, due in lane.items():
                if due > now:
                    self._timers[msecs] = self._loop.call_at(due, self._turn, msecs)
                    break
                late.append(entry)
            for entry in late:
                del lane[entry]
        if not lane:
            self._lanes.pop(msecs, None)
        for entry in late:
            self._expired(entry)
