"""The memory store: the reference for what ``roost.storage.api`` means. For tests and demonstrations.

A restart empties it.
One process only: with several workers each would have its own mail.
"""

from __future__ import annotations

from roost.storage.api import Backend, BackendContext
from roost.storage.simple.backend import SimpleBackend


class MemoryBackend(SimpleBackend):
    """``load`` finds nothing and ``commit`` keeps nothing."""


def open_memory(context: BackendContext) -> Backend:
    """The factory (``mail_driver = memory``)."""
    return MemoryBackend(context)
