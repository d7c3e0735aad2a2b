"""The one door from storage to asyncio: a result that another thread will bring, a turn for others, a timer.

Everything else below ``roost.worker`` is plain code; stores that use threads wait through this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any


class Clock:
    """The running loop as a store may use it."""

    def __init__(self) -> None:
        """Inside a running loop. Raises RuntimeError without one."""
        self._loop = asyncio.get_running_loop()

    def future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """From any thread: run it on the loop. Silently dropped when the loop is gone."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def call_later(self, secs: float, function: Callable[[], object]) -> Callable[[], None]:
        """Run it once after ``secs``; returns a function that prevents it."""
        return self._loop.call_later(secs, function).cancel

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()


class Turn:
    """``await Turn()`` lets others run once; works in code that has no task yet."""

    def __await__(self) -> Generator[None, None, None]:
        yield
