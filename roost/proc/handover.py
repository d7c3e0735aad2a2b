"""What a child is told, carried across an exec (``spawn = exec``): a pickled ChildContext in a sealed memory file.

The descriptor is inherited from the master alone, so unpickling it trusts nobody new.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from typing import TYPE_CHECKING

from roost.proc.contract import FD_DEAD_MASTER, FD_HANDOVER, FD_STATUS

if TYPE_CHECKING:
    from roost.proc.contract import ChildContext


def offer(context: ChildContext) -> int:
    """A descriptor, at its start, from which ``receive`` reads the context. The caller closes it after the fork."""
    fd = _anonymous_file()
    data = memoryview(pickle.dumps(context, protocol=pickle.HIGHEST_PROTOCOL))
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def receive(fd: int = FD_HANDOVER) -> ChildContext:
    """The context the master offered; closes the descriptor, and keeps the others from our own future children.

    Raises: OSError, pickle.UnpicklingError.
    """
    from roost.proc.contract import ChildContext

    with os.fdopen(fd, "rb") as stream:
        context = pickle.load(stream)
    if not isinstance(context, ChildContext):
        raise pickle.UnpicklingError(f"expected a ChildContext, got {type(context).__name__}")
    for inherited in (FD_STATUS, FD_DEAD_MASTER, *(info.fd for info in context.listeners)):
        os.set_inheritable(inherited, False)
    return context


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("roost-child", os.MFD_CLOEXEC)
    fd, path = tempfile.mkstemp(prefix="roost-child-")
    os.unlink(path)
    return fd
