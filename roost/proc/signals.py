"""Signal dispositions around fork: a child must not inherit the master's handlers, nor lose a signal sent at birth.

The master blocks everything, forks, and restores its mask; the child resets the handlers and unblocks, so a TERM that
arrives between the two waits and then takes its default action.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

CATCHABLE = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
IGNORED_BY_CHILDREN = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)


@contextmanager
def all_blocked() -> Iterator[None]:
    """Hold every signal back for the length of the block."""
    before = signal.pthread_sigmask(signal.SIG_SETMASK, CATCHABLE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def reset_in_child() -> None:
    """Default actions for all signals, except those a child ignores; then let held-back signals in."""
    signal.set_wakeup_fd(-1)
    for signum in CATCHABLE:
        try:
            if signal.getsignal(signum) not in (signal.SIG_DFL, None):
                signal.signal(signum, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    for signum in IGNORED_BY_CHILDREN:
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, frozenset())
