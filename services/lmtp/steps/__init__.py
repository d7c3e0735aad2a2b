"""STEPS: what happens to one recipient's copy of a message, in order. A step raises to refuse it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from services.lmtp.steps import hooks, received, save

if TYPE_CHECKING:
    from services.lmtp.deliver import Delivery

STEPS: tuple[Callable[[Delivery], Awaitable[None]], ...] = (received.run, hooks.run, save.run)
