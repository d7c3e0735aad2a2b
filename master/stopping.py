"""TERM and INT: those who serve clients leave first, then those they rely on, then the master; the deaf are killed.

A second TERM does not wait any longer. With ``shutdown_clients = no`` the processes are only asked to finish their
clients, and outlive the master.
"""

from __future__ import annotations

from master.service import Service
from master.states import Event
from master.supervisor import Supervisor

FRONT_SECS = 5.0
"""What processes with clients have to say good-bye."""
BACK_SECS = 2.0
"""What auth, anvil and the like have, once the others are gone."""
LEAVE_SECS = 1.0
"""How long the idle ones may take to leave when busy ones are left behind."""


class Stopper:
    """Ends everything, then the loop."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._fronts_done = False
        self.begun = False

    def stop(self) -> None:
        """Begin; called again: kill whoever is left."""
        supervisor = self._supervisor
        if self.begun:
            self._hurry()
            return
        self.begun = True
        supervisor.notifier.stopping()
        keep_clients = not supervisor.generation.settings.shutdown_clients
        for service in supervisor.generation.services.values():
            supervisor.pause(service)
        supervisor.generation.listeners.discard(None)
        if keep_clients:
            for service in supervisor.services():
                supervisor.tell(service, Event.DRAIN)
            supervisor.loop.after(LEAVE_SECS, self._finish)
            return
        deadline = supervisor.loop.now() + FRONT_SECS
        for service in supervisor.services():
            if _is_front(service):
                supervisor.tell(service, Event.STOP, deadline)
        supervisor.watchers.append(self._watch)

    def _watch(self) -> None:
        supervisor = self._supervisor
        left = [service for service in supervisor.services() if service.processes]
        if not left:
            self._finish()
        elif not self._fronts_done and not any(_is_front(service) for service in left):
            self._fronts_done = True
            for service in left:
                supervisor.tell(service, Event.STOP, supervisor.loop.now() + BACK_SECS)

    def _hurry(self) -> None:
        for service in self._supervisor.services():
            self._supervisor.tell(service, Event.OVERDUE)

    def _finish(self) -> None:
        self._supervisor.notifier.status("Roost stopped")
        self._supervisor.loop.stop()


def _is_front(service: Service) -> bool:
    return bool(service.settings.protocol)
