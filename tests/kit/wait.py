"""Waiting in tests: until something is true, never longer than a deadline. The only place that may sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECS = 0.01


def wait_for(condition: Callable[[], T], deadline_secs: float = 10, what: str = "") -> T:
    """Call ``condition`` until it returns something true, and return that. Raises: AssertionError at the deadline."""
    end = time.monotonic() + deadline_secs
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_secs} seconds: {what or condition}")
        time.sleep(POLL_SECS)


async def until(condition: Callable[[], object], what: str = "", deadline_secs: float = 12) -> None:
    """``wait_for`` on a loop: let it turn until ``condition`` is true. Raises: AssertionError at the deadline."""
    end = time.monotonic() + deadline_secs
    turns = 0
    while not condition():
        await asyncio.sleep(0 if turns < 10 else 0.005)
        turns += 1
        assert time.monotonic() < end, f"not within {deadline_secs} seconds: {what or condition}"


async def nothing_happens(secs: float = 0.05) -> None:
    """Let time pass on a loop, for tests that afterwards look whether something happened that must not."""
    await asyncio.sleep(secs)
