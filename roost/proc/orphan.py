"""No child outlives a killed master: the parent-death signal of Linux (prctl(2) PR_SET_PDEATHSIG).

The dead-master pipe (``contract.py``) tells a child whose loop runs; this signal reaches one that looks elsewhere.
The kernel clears it when the user id changes, therefore ``privileges.drop`` asks for it again.
"""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """Ask the kernel to send ``signum`` to this process when its parent dies. Elsewhere than on Linux: nothing."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        prctl = libc.prctl
    except (OSError, AttributeError):
        return
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(int(signum)), 0, 0, 0)


def is_orphan(parent_pid: int) -> bool:
    """True when the parent died before ``die_with_parent`` was in force."""
    return os.getppid() != parent_pid
