"""A small pool of threads for what would hold up the loop: password hashes, long searches, slow file systems.

Bounded twice: ``threads`` at work, and ``waiting`` calls behind them; above that the caller is told to come back
(``Unavailable``) instead of building a queue nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from roost.errors import Unavailable

T = TypeVar("T")

MAX_WAITING = 1000


class Offload:
    """The pool; its threads start with the first call (never before a fork)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int = 4, waiting: int = MAX_WAITING) -> None:
        self._loop = loop
        self._threads = threads
        self._limit = threads + waiting
        self._pool: ThreadPoolExecutor | None = None
        self._pending = 0

    def __call__(self, fn: Callable[..., T], *args: object) -> Awaitable[T]:
        """``fn(*args)`` in a thread; await the result. Raises Unavailable when too many wait already."""
        if self._pending >= self._limit:
            raise Unavailable("Server is busy, try again later.", detail=f"{self._pending} calls wait for a thread")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="offload")
        self._pending += 1
        future = self._loop.run_in_executor(self._pool, fn, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: object) -> None:
        self._pending -= 1

    def close(self) -> None:
        """Wait for the calls at work, drop those behind them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
