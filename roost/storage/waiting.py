"""The one door from storage to asyncio: a result that another thread will bring, a turn for others, a timer.

Everything else below ``roost.worker`` is plain code; stores that use threads wait through this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

direct = False  # what runs now was started by ``roost.net.inline.run_direct``: it may wait for a Coming without a task


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


class Coming(Generic[T]):
    """A value that one waiter awaits, or an error: a future without a loop's turn between its coming and the waiter.

    Awaited in a task it behaves like a future. ``set_result`` and ``set_exception`` once only, on the loop's thread.
    """

    __slots__ = ("_done", "_error", "_resume", "_value")

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._resume: Callable[[], object] | None = None

    def done(self) -> bool:
        return self._done

    def set_result(self, value: T) -> None:
        if self._done:
            raise asyncio.InvalidStateError("the value has come already")
        self._value = value
        self._done = True
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    def set_exception(self, error: BaseException) -> None:
        if self._done:
            raise asyncio.InvalidStateError("the value has come already")
        self._error = error
        self._done = True
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            if direct:
                yield self
            else:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._resume = partial(_settle, future)
                yield from future
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set_result came before


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Turn:
    """``await Turn()`` lets others run once; works in code that has no task yet."""

    def __await__(self) -> Generator[None, None, None]:
        yield
