"""A room that reports READY and then ignores every signal and the death of its master's pipe."""

from __future__ import annotations

import os
import signal

from roost.proc.contract import FD_STATUS, STATUS, ChildContext


def serve(context: ChildContext) -> int:
    for signum in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    os.write(FD_STATUS, STATUS.pack(os.getpid(), context.generation, 1))
    while True:
        signal.pause()
