"""One knock wakes one worker: listeners that several processes share, waited for with EPOLLEXCLUSIVE.

Without it the kernel wakes every idle worker for each new client, and all but one find nothing (about 3 µs of CPU for
each of them). The loop has its listeners in its own epoll set; here their entries are put in again with the exclusive
flag. The kernel wakes the first idle waiter of the queue, so a worker that already has
clients goes to the queue's end with each accept: the load spreads, while a lone client keeps one warm process.

A knock may be given to a worker that stops accepting just then. So near its limit a worker waits without the flag
(then it wakes beside another, never instead of it), and every worker renews its entries at each heartbeat, which also
looks for clients already waiting.
"""

from __future__ import annotations

import asyncio
import os
import select

from roost.worker.loop import backend_fd

_EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 0)


class Exclusive:
    """Renews a loop's entries of its listeners. Does nothing where the system or the loop cannot."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        fd = backend_fd(loop) if _EXCLUSIVE else -1
        # a duplicate, for the object closes its descriptor when it goes
        self._epoll = select.epoll.fromfd(os.dup(fd)) if fd >= 0 else None
        self._exclusive_fds: set[int] = set()

    def renew(self, fd: int, *, exclusive: bool) -> None:
        """Put ``fd`` at the end of its queue. It must be in the loop's set already (a turn after listening began)."""
        if self._epoll is None or not (exclusive or fd in self._exclusive_fds):
            return
        try:
            self._epoll.unregister(fd)
        except FileNotFoundError:  # not there yet, or no longer: the loop will do it its own way
            self._exclusive_fds.discard(fd)
            return
        self._epoll.register(fd, select.EPOLLIN | (_EXCLUSIVE if exclusive else 0))
        if exclusive:
            self._exclusive_fds.add(fd)
        else:
            self._exclusive_fds.discard(fd)

    def forget(self, fd: int) -> None:
        """The loop stops listening on ``fd``."""
        self._exclusive_fds.discard(fd)
