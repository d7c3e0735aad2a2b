"""Password verification: cheap schemes at once, slow ones in threads, a fair and bounded queue before them.

Fair: waiting verifications are taken in turn from each client address, so an address that sends a thousand guesses
delays another one's login by one hash, not by a thousand. Bounded: above ``auth_worker_queue_limit`` waiting ones, the
newest of the address with most of them is answered with a temporary failure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from roost.errors import Unavailable
from roost.worker.offload import Offload
from services.auth.schemes import Stored


class Hasher:
    """One a process. All methods on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int, limit: int) -> None:
        self._loop = loop
        self._offload = Offload(loop, threads=threads, waiting=threads)
        self._threads = threads
        self._limit = limit
        self._running = 0
        self._waiting = 0
        self._turns: dict[str, deque[asyncio.Future[None]]] = {}  # by address; the first one is next

    @property
    def waiting(self) -> int:
        return self._waiting

    async def verify(self, stored: Stored, password: bytes, key: str) -> bool:
        """Whether the password matches. ``key``: whose turn this takes (the client's address).

        Raises BadHash, SchemeUnavailable, and Unavailable when too many wait.
        """
        if not stored.scheme.slow:
            return stored.verify(password)
        return await self.run(lambda: stored.verify(password), key)

    async def run(self, work: Callable[[], bool], key: str) -> bool:
        """``work()`` in a thread, in turn. Raises Unavailable when too many wait, and what ``work`` raises."""
        if self._running >= self._threads:
            await self._turn(key)
        else:
            self._running += 1
        future = asyncio.ensure_future(self._offload(work))
        future.add_done_callback(self._finished)
        # A caller that is cancelled leaves; the thread is busy until the hash is done, and so is its place.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Fail what waits; wait for the hashes at work."""
        for turns in self._turns.values():
            for turn in turns:
                if not turn.done():
                    turn.set_exception(Unavailable("Shutting down."))
        self._turns.clear()
        self._offload.close()

    async def _turn(self, key: str) -> None:
        if self._waiting >= self._limit:
            longest = max(self._turns, key=lambda other: len(self._turns[other]))
            if longest == key or len(self._turns[longest]) <= len(self._turns.get(key, ())) + 1:
                raise _busy(self._waiting)
            victim = self._turns[longest].pop()  # another's queue, and it stays longer than ours: never empty
            self._waiting -= 1
            if not victim.done():
                victim.set_exception(_busy(self._waiting))
        turn: asyncio.Future[None] = self._loop.create_future()
        self._turns.setdefault(key, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._next()  # our turn had just come: pass it on
            else:
                self._forget(key, turn)
            raise

    def _forget(self, key: str, turn: asyncio.Future[None]) -> None:
        turns = self._turns.get(key)
        if turns is not None and turn in turns:
            turns.remove(turn)
            self._waiting -= 1
            if not turns:
                del self._turns[key]

    def _finished(self, future: asyncio.Future[bool]) -> None:
        if not future.cancelled():
            future.exception()  # looked at here, for a caller that has left will not
        self._next()

    def _next(self) -> None:
        """A thread is free: give it to the next waiting one, by address in turn."""
        while self._turns:
            key, turns = next(iter(self._turns.items()))
            del self._turns[key]
            turn = turns.popleft()
            self._waiting -= 1
            if turns:
                self._turns[key] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1


def _busy(waiting: int) -> Unavailable:
    return Unavailable("Server is busy, try again later.", detail=f"{waiting} password verifications wait for a thread")
