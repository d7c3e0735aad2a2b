"""Drivers run inside a task, as they may expect: ``asyncio.timeout`` needs one.

A request has no task until it first waits (``roost/net/inline.py``): most end before. Drivers whose answers are in
memory say so (``immediate = True``) and are called without.
"""

from __future__ import annotations

import asyncio


async def in_task(driver: object) -> None:
    """To be awaited before a driver is asked."""
    if not getattr(driver, "immediate", False) and not _has_task():
        await asyncio.sleep(0)  # a bare yield: what follows is run by a task


def _has_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # the loop does not even run
        return False
