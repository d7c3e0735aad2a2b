"""READY is reported, not guessed: when every service that is to have processes has one that said it can serve.

A service that cannot start must not keep the others from being announced for ever: after READY_SECS the start counts
as done, with the sick services named.
"""

from __future__ import annotations

from collections.abc import Callable

from master.supervisor import Supervisor
from roost.proc.contract import FIRST_STATUS_SECS


class Readiness:
    """Calls ``on_ready`` once, with the names of services that are not ready."""

    def __init__(self, supervisor: Supervisor, on_ready: Callable[[list[str]], None]) -> None:
        self._supervisor = supervisor
        self._on_ready: Callable[[list[str]], None] | None = on_ready
        self._timer = supervisor.loop.after(FIRST_STATUS_SECS, self._enough)
        supervisor.watchers.append(self._look)

    def _missing(self) -> list[str]:
        return [
            service.name
            for service in self._supervisor.generation.services.values()
            if service.settings.process_min_avail
            and not service.stopped
            and not any(process.reported for process in service.processes.values())
        ]

    def _look(self) -> None:
        if self._on_ready is not None and not self._missing():
            self._tell([])

    def _enough(self) -> None:
        if self._on_ready is not None:
            self._tell(self._missing())

    def _tell(self, missing: list[str]) -> None:
        assert self._on_ready is not None
        on_ready, self._on_ready = self._on_ready, None
        self._timer.cancel()
        on_ready(missing)
