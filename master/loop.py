"""The master's only loop: descriptors, timers, one callback after each turn. No thread, no asyncio.

Every callback runs to its end before the next; an exception in one is given to ``on_error`` and never ends the loop.
All times are monotonic seconds.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections.abc import Callable

Callback = Callable[[], None]


class Timer:
    """A callback in the future; ``cancel`` forgets it."""

    __slots__ = ("callback", "deadline", "quiet")

    def __init__(self, deadline: float, callback: Callback) -> None:
        self.deadline = deadline
        self.callback: Callback | None = callback
        self.quiet = False

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Run callbacks until ``stop``."""

    def __init__(self, on_error: Callable[[], None]) -> None:
        """``on_error`` is called while the exception is being handled (``sys.exc_info`` has it)."""
        self.after_turn: Callback = lambda: None
        self.late_secs = 0.0
        """How much later than asked this turn began: we were suspended, or starved, and so were our children."""
        self._on_error = on_error
        self._quiet_fds: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._stopping = False

    @staticmethod
    def now() -> float:
        return time.monotonic()

    def on_readable(self, fd: int, callback: Callback, *, quiet: bool = False) -> None:
        """Call back whenever ``fd`` is readable, until ``forget``. ``quiet``: nothing ``after_turn`` looks at changes
        by it, so a turn of such callbacks alone goes without (log lines come by the thousand a second)."""
        self._selector.register(fd, selectors.EVENT_READ, callback)
        if quiet:
            self._quiet_fds.add(fd)

    def on_writable(self, fd: int, callback: Callback) -> None:
        self._selector.register(fd, selectors.EVENT_WRITE, callback)

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``; harmless when nobody does. Must come before the descriptor is closed."""
        self._quiet_fds.discard(fd)
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):  # ValueError: -1, a socket that is closed already
            pass

    def watches(self, fd: int) -> bool:
        return fd in self._selector.get_map()

    def at(self, deadline: float, callback: Callback) -> Timer:
        timer = Timer(deadline, callback)
        heapq.heappush(self._timers, (deadline, next(self._numbers), timer))
        return timer

    def after(self, secs: float, callback: Callback, *, quiet: bool = False) -> Timer:
        """``quiet`` as in ``on_readable``."""
        timer = self.at(self.now() + secs, callback)
        timer.quiet = quiet
        return timer

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """Turn until ``stop`` was called."""
        self._call(self.after_turn)
        while not self._stopping:
            self.turn(3600.0)

    def turn(self, longest_secs: float) -> None:
        """One wait of at most ``longest_secs``, then everything that is due, then ``after_turn``."""
        due = self._next_deadline()
        now = self.now()
        wait = longest_secs if due is None else min(max(due - now, 0.0), longest_secs)
        ready = self._selector.select(wait)
        self.late_secs = max(self.now() - now - wait, 0.0)
        quiet = all(key.fd in self._quiet_fds for key, _ in ready)
        for key, _ in ready:
            # A callback of this turn may have closed a descriptor that was also ready.
            if self._selector.get_map().get(key.fd) is key:
                self._call(key.data)
        ran, loud = self._run_timers()
        if loud or not quiet or not (ready or ran):
            self._call(self.after_turn)

    def close(self) -> None:
        self._selector.close()

    def _next_deadline(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _run_timers(self) -> tuple[bool, bool]:
        """(there was one, there was one that is not quiet)."""
        ran = loud = False
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                ran, loud = True, loud or not timer.quiet
                self._call(callback)
        return ran, loud

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            self._on_error()
