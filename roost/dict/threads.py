"""A few threads for drivers whose work waits for the disk or a lock; bounded, and so is what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from roost.errors import Unavailable

T = TypeVar("T")


class Threads:
    """Started by the first call, so never before a fork."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._threads = threads
        self._limit = threads + waiting
        self._pool: ThreadPoolExecutor | None = None
        self._pending = 0

    async def run(self, work: Callable[[], T]) -> T:
        """``work()`` in a thread. When the caller stops waiting, the work goes on. Raises Unavailable."""
        if self._pending >= self._limit:
            raise Unavailable("The dict is busy", detail=f"{self._pending} calls wait; dict_max_waiting")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dict")
        self._pending += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, _future: object) -> None:
        self._pending -= 1

    async def close(self) -> None:
        """Wait for what is at work."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)
