"""Leaving the terminal: the caller's process stays until the master behind it is ready, or has said why not."""

from __future__ import annotations

import os
import sys


class Foreground:
    """``-F``: nothing to leave."""

    def started(self, missing: list[str]) -> None:
        """The master is ready; ``missing`` services are not."""


class Background(Foreground):
    """In the child: reports to the parent that waits in ``detach``."""

    def __init__(self, report_fd: int, *, keep_stderr: bool) -> None:
        self._report_fd = report_fd
        self._keep_stderr = keep_stderr

    def started(self, missing: list[str]) -> None:
        if missing:
            print(f"roost: started, but not ready: {', '.join(missing)}; see the log", file=sys.stderr, flush=True)
        os.write(self._report_fd, b"+")
        os.close(self._report_fd)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1) if self._keep_stderr else (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)


def detach(*, keep_stderr: bool) -> Foreground:
    """Fork; returns in the child, a session of its own. The parent waits and exits with 0 or the child's code."""
    sys.stdout.flush()
    sys.stderr.flush()
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        os.setsid()
        return Background(write_fd, keep_stderr=keep_stderr)
    os.close(write_fd)
    if os.read(read_fd, 1) == b"+":
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
