"""Coarse deadlines for many connections: one loop timer per process, whole seconds, almost free to push back.

A connection sets its deadline again at every command and nearly never reaches it. So moving a deadline *later* only
stores a number: the timer stays in the bucket it is in, and when that bucket's second comes it moves on to where it
belongs. Only an earlier deadline touches a bucket. A deadline fires up to one second late and never early.
"""

from __future__ import annotations

import asyncio
import heapq
import weakref
from collections.abc import Callable

_wheels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Wheel] = weakref.WeakKeyDictionary()
_latest: Wheel | None = None  # asked for last; a process has one loop


class Timer:
    """One deadline that can be set again and again. ``callback`` runs on the loop, once per expiry."""

    __slots__ = ("_bucket", "_due", "_wheel", "callback")

    def __init__(self, wheel: Wheel, callback: Callable[[], None] | None = None) -> None:
        self._wheel = wheel
        self._due = 0.0  # loop time; 0: not set
        self._bucket = 0  # the second of the bucket this timer is in; 0: in none
        self.callback = callback

    def set(self, secs: float, callback: Callable[[], None] | None = None) -> None:
        """Fire ``secs`` from now, instead of any earlier setting. Without ``callback`` the last one is kept."""
        if callback is not None:
            self.callback = callback
        self._due = due = self._wheel.time() + secs
        bucket = self._bucket
        if not bucket or due < bucket - 1:
            self._wheel.put(self, due)

    def cancel(self) -> None:
        self._due = 0.0
        self.callback = None
        if self._bucket:
            self._wheel.take(self)

    @property
    def armed(self) -> bool:
        return self._due != 0.0


class Wheel:
    """The buckets of one loop. Use ``wheel_of(loop)``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.time = loop.time
        self._buckets: dict[int, set[Timer]] = {}
        self._order: list[int] = []  # heap of the keys of _buckets
        self._handle: asyncio.TimerHandle | None = None
        self._handle_for = 0

    def put(self, timer: Timer, due: float) -> None:
        if timer._bucket:
            self.take(timer)
        second = int(due) + 1
        timer._bucket = second
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = {timer}
            heapq.heappush(self._order, second)
            if not self._handle_for or second < self._handle_for:
                self._arm(second)
        else:
            bucket.add(timer)

    def take(self, timer: Timer) -> None:
        self._buckets[timer._bucket].discard(timer)
        timer._bucket = 0

    def _arm(self, second: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        loop = self._loop()
        assert loop is not None  # timers are set from callbacks of the loop
        self._handle_for = second
        self._handle = loop.call_at(second, self._turn)

    def _turn(self) -> None:
        self._handle = None
        self._handle_for = 0
        now = self.time() + 0.002  # a loop may call a hair early
        while self._order and self._order[0] <= now:
            second = heapq.heappop(self._order)
            expired = self._buckets.pop(second)
            for timer in expired:
                timer._bucket = 0
            for timer in expired:
                if not timer._due or timer._bucket:
                    continue  # cancelled, or set again, by a callback of this turn
                if timer._due > now:
                    self.put(timer, timer._due)
                    continue
                timer._due = 0.0
                if timer.callback is not None:
                    self._fire(timer.callback)
        if self._order and not 0 < self._handle_for <= self._order[0]:
            self._arm(self._order[0])

    def _fire(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as exc:
            loop = self._loop()
            if loop is not None:
                loop.call_exception_handler({"message": "deadline callback failed", "exception": exc})


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """The wheel of ``loop``, made at first use."""
    global _latest
    wheel = _latest
    if wheel is None or wheel._loop() is not loop:
        wheel = _wheels.get(loop)
        if wheel is None:
            wheel = _wheels[loop] = Wheel(loop)
        _latest = wheel
    return wheel
