"""What a passdb or userdb driver is built from. The drivers' own promises are ``roost/auth/api.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from roost.auth.api import Query
from roost.events.log import Log
from roost.worker.offload import Offload


@dataclass(frozen=True)
class DriverContext:
    """What the room lends its drivers.

    ``exists`` asks the passdbs whether there is such a user (raises Unavailable); ``shared`` is for what several
    drivers of one process have in common, under a key of their own choice.
    """

    log: Log
    offload: Offload
    exists: Callable[[Query], Awaitable[bool]]
    shared: dict[str, object] = field(default_factory=dict)
