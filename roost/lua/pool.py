"""Several runtimes of one script, each serving one call at a time: a script's globals never change under its feet.

With ``interleave`` one runtime serves all calls at once: while one waits, others run and see the same globals. That is
for scripts that keep nothing in globals across a wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from roost.lua.bridge import Waiter, new_waiter
from roost.lua.script import LuaFailure, Script

MakeScript = Callable[[], Awaitable[Script]]
"""Loads and starts one more runtime of the script. Raises LuaFailure."""


class Pool:
    """Up to ``size`` runtimes, made when first needed. ``queue_limit``: calls that may wait for one."""

    def __init__(
        self, make_script: MakeScript, size: int, *, interleave: bool = False, queue_limit: int = 5000
    ) -> None:
        self._make = make_script
        self._size = 1 if interleave else size
        self._interleave = interleave
        self._queue_limit = queue_limit
        self._all: list[Script] = []
        self._making = 0
        self._idle: list[Script] = []
        self._waiting: deque[Waiter] = deque()
        self._closed = False

    async def start(self) -> Script:
        """Make the first runtime now, so that a broken script is known at once. → it, to ask what it has."""
        async with self.script() as script:
            return script

    async def call(self, name: str, *values: Any, results: int = -1) -> tuple[Any, ...]:
        """``Script.call`` on the next free runtime. Raises LuaFailure, also when too many wait."""
        async with self.script() as script:
            return await script.call(name, *values, results=results)

    @asynccontextmanager
    async def script(self) -> AsyncIterator[Script]:
        """A runtime for one call (with ``interleave`` the one that all share)."""
        script = await self.take()
        try:
            yield script
        finally:
            await self.release(script)

    async def release(self, script: Script) -> None:
        """Give back what ``take`` gave."""
        if script.exhausted and script in self._all:
            self._all.remove(script)  # without memory: the next call gets a fresh one
            self._wake()
        if script in self._all:
            self._give(script)
        elif not script.running:
            await script.close()

    async def take(self) -> Script:
        """``script`` without a ``with``. Raises LuaFailure."""
        if self._closed:
            raise LuaFailure("script is closed")
        if self._interleave and self._all:
            return self._all[0]
        while not self._idle:
            if len(self._all) + self._making < self._size:
                return await self._grow()
            if len(self._waiting) >= self._queue_limit:
                raise LuaFailure("too many calls wait for the script")
            waiter = new_waiter()
            self._waiting.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # this turn was ours: hand it on
                else:
                    self._drop(waiter)
                raise
            if self._closed:
                raise LuaFailure("script is closed")
            if self._interleave and self._all:
                self._wake()
                return self._all[0]
        return self._idle.pop()

    async def _grow(self) -> Script:
        self._making += 1
        try:
            script = await self._make()
        except BaseException:
            self._making -= 1
            self._wake()  # somebody else may try
            raise
        self._making -= 1
        self._all.append(script)
        if self._closed:
            await script.close()
            raise LuaFailure("script is closed")
        if self._interleave:
            self._wake()  # all who waited for it may use it
        return script

    def _give(self, script: Script) -> None:
        if self._interleave:
            self._wake()
            return
        self._idle.append(script)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _drop(self, waiter: Waiter) -> None:
        try:
            self._waiting.remove(waiter)
        except ValueError:
            pass

    @property
    def runtimes(self) -> int:
        """How many exist."""
        return len(self._all)

    async def close(self) -> None:
        """Run ``script_deinit`` in each and free them; calls that wait fail."""
        self._closed = True
        while self._waiting:
            self._wake()
        for script in self._all:
            await script.close()
        self._all.clear()
        self._idle.clear()
