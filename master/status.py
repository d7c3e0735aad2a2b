"""Children's status records: octets → reports, believing nothing (``roost/proc/contract.py`` has the format).

A record is gossip: unknown pids are ignored (already reaped), a record whose generation does not fit its pid is
reported and dropped, a torn record is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from master.states import Event
from roost.proc.contract import RETIRED, STATUS

READ_OCTETS = 85 * STATUS.size
"""One wake-up reads at most this much of one service, so that none can starve the others."""


@dataclass(frozen=True, slots=True)
class Report:
    """One decoded record."""

    pid: int
    generation: int
    available: int
    """Further clients the process would accept; RETIRED is decoded to 0."""
    event: Event


def decode(data: bytes) -> tuple[list[Report], int]:
    """All whole records in ``data`` and the number of octets left over (0 unless a child is broken)."""
    whole = len(data) - len(data) % STATUS.size
    return list(_records(data[:whole])), len(data) - whole


def _records(data: bytes) -> Iterator[Report]:
    for pid, generation, available in STATUS.iter_unpack(data):
        if available == RETIRED:
            yield Report(pid, generation, 0, Event.RETIRED)
        else:
            yield Report(pid, generation, available, Event.AVAILABLE if available else Event.FULL)
