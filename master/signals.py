"""The master's signals: SIGNALS says what each means; handlers only enqueue, the loop acts.

The wake-up descriptor ends the loop's wait; the queue holds what came. SIGCHLD is level-triggered: however many were
merged, the reaper looks until nobody is left.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from enum import Enum
from types import FrameType


class Order(Enum):
    """What a signal asks of the master."""

    RELOAD = "reload"
    STOP = "stop"
    REAP = "reap"
    REOPEN_LOGS = "reopen logs"


SIGNALS: dict[signal.Signals, Order] = {
    signal.SIGHUP: Order.RELOAD,
    signal.SIGTERM: Order.STOP,
    signal.SIGINT: Order.STOP,
    signal.SIGCHLD: Order.REAP,
    signal.SIGUSR1: Order.REOPEN_LOGS,
}
IGNORED = (signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGTTOU, signal.SIGTTIN)


class SignalQueue:
    """Install the handlers; ``fd`` is readable when ``take`` has something."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._queue: deque[signal.Signals] = deque(maxlen=1000)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for signum in SIGNALS:
            signal.signal(signum, self._enqueue)
            signal.siginterrupt(signum, False)
        for signum in IGNORED:
            signal.signal(signum, signal.SIG_IGN)

    def take(self) -> list[tuple[signal.Signals, Order]]:
        """What came since the last call, in order."""
        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            pass
        taken = []
        while self._queue:
            signum = self._queue.popleft()
            taken.append((signum, SIGNALS[signum]))
        return taken

    def _enqueue(self, signum: int, frame: FrameType | None) -> None:
        self._queue.append(signal.Signals(signum))
