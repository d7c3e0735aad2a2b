"""Telling the master how many more clients this process would take (``roost/proc/contract.py``)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from roost.proc.contract import HEARTBEAT_SECS, RETIRED, SELF_WATCHDOG_SECS, STATUS

COALESCE_SECS = 1.0
RETRY_SECS = 0.05


class StatusReporter:
    """Sends a record when the number changes: at once when it goes from or to 0, else at most once a second.

    At least one every HEARTBEAT_SECS. Each also winds up the kernel's alarm that ends a process whose loop is stuck.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, generation: int, count: Callable[[], int]) -> None:
        self._loop = loop
        self._fd = fd
        self._generation = generation
        self._count = count
        self._pid = os.getpid()
        self._sent = -1
        self._timer: asyncio.TimerHandle | None = None
        self.will_tell = False  # a number other than 0 is sent soon: ``changed`` would do nothing now
        self._closed = False
        self.on_beat: Callable[[], None] | None = None

    def start(self) -> None:
        """The first record: READY."""
        os.set_blocking(self._fd, False)
        self._beat()

    def changed(self) -> None:
        """The number may have changed."""
        if self._closed or self._sent < 0:
            return
        count = self._count()
        if count == self._sent:
            return
        if count in (0, RETIRED) or self._sent == 0:
            self._send(count)
        elif self._timer is None:
            self._timer = self._loop.call_later(COALESCE_SECS, self._later)
            self.will_tell = True

    def insist(self) -> None:
        """Send a record although nothing changed (an INT that was not obeyed)."""
        if not self._closed:
            self._send(self._count())

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _later(self) -> None:
        self._timer = None
        self.will_tell = False
        if not self._closed:
            self._send(self._count())

    def _beat(self) -> None:
        if self._closed:
            return
        self._send(self._count())
        if self.on_beat is not None:
            self.on_beat()
        self._loop.call_later(HEARTBEAT_SECS, self._beat)

    def _send(self, count: int) -> None:
        signal.alarm(SELF_WATCHDOG_SECS)
        important = count in (0, RETIRED) or self._sent in (-1, 0)
        try:
            os.write(self._fd, STATUS.pack(self._pid, self._generation, count))
        except BlockingIOError:
            if important and self._timer is None:
                self._timer = self._loop.call_later(RETRY_SECS, self._later)
            return
        except OSError:  # the master is gone; the dead-master pipe says so too
            return
        self._sent = count
        self.will_tell = count > 0 and self._timer is not None
