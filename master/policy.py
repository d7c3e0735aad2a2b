"""PURE. How many processes a service should have now, whether the master listens for it, which idle ones may go.

Level-triggered: ``wanted`` may be asked at any time, any number of times, and looks only at the present state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPAWN_BATCH = 10
"""Forks per service and loop turn, so that a large process_min_avail does not deafen the master."""
FULL_PAUSE_SECS = 10.0
"""A full house keeps newcomers waiting in the kernel's queue this long before they are turned away."""
LATE_SECS = 2.0
"""A turn of the loop that begins so much later than asked means that we slept, and our children with us."""
KILL_AGAIN_SECS = 10.0
ERRORS_SECS, ERRORS_MAX = 10.0, 50
"""So many internal errors in so few seconds: the master gives up rather than spin."""
FULL_WARNING_SECS = 1.0
"""A full house is logged at most this often."""


@dataclass(frozen=True, slots=True)
class View:
    """What the policy may know about a service."""

    counted: int
    """Processes that count toward ``limit``."""
    available: int
    """Processes starting or ready: somebody will accept the next client."""
    min_available: int
    limit: int
    knocking: bool = False
    """A listener is readable while nobody is available."""
    throttled: bool = False
    stopped: bool = False
    """No more processes: stopped by an administrator, or an old generation."""
    full_since: float | None = None
    """When the house was found full, None when it is not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The policy's answer."""

    spawn: int = 0
    listen: bool = False
    """The master itself polls the listeners, to learn of the next client."""
    full: bool = False
    """A client knocks, nobody is available and nobody may be started."""
    shed: bool = False
    """With ``full``: turn the waiting clients away now."""


def wanted(view: View, now: float) -> Wanted:
    """What a service needs at the monotonic time ``now``."""
    if view.stopped or view.throttled:
        return Wanted()
    room = max(view.limit - view.counted, 0)
    spawn = min(max(view.min_available - view.available, 0), room, SPAWN_BATCH)
    if view.available or spawn:
        return Wanted(spawn=spawn)
    if room:
        return Wanted(spawn=1) if view.knocking else Wanted(listen=True)
    paused = view.full_since is not None and now < view.full_since + FULL_PAUSE_SECS
    return Wanted(
        listen=not paused,
        full=view.knocking and not paused,
        shed=view.knocking and not paused and view.full_since is not None,
    )


def idle_victims(idle: Sequence[tuple[float, int]], lowwater: int, min_available: int) -> list[int]:
    """Pids of surplus idle processes, the longest idle first.

    ``idle`` holds (idle since, pid); ``lowwater`` is the smallest number of idle processes since the last look:
    only what was never needed in the whole interval is surplus.
    """
    surplus = min(lowwater, len(idle)) - min_available
    return [pid for _, pid in sorted(idle)[:surplus]] if surplus > 0 else []


def is_mute(
    now: float, *, born: float, last_report: float | None, first_report_secs: float, heartbeat_secs: float
) -> bool:
    """True when a child has missed its first report, or its heartbeats."""
    if last_report is None:
        return now - born >= first_report_secs
    return now - last_report >= heartbeat_secs
