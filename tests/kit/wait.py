"""Waiting in tests: until something is true, never longer than a deadline. The only place that may sleep."""

from __future__ import annotations

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
