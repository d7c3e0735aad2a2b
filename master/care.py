"""What the clock brings: silent children are killed, overdue ones too, surplus idle ones asked to leave.

Also the log's backlog, systemd's watchdog and its status line. Once a second, and after a sleep of the whole machine
with patience: if we were late, so were the children.
"""

from __future__ import annotations

import os
import signal

from master import policy
from master.service import Process, Service
from master.states import Event, State
from master.supervisor import Supervisor
from roost.proc.contract import FIRST_STATUS_SECS, HEARTBEAT_GRACE_SECS

TICK_SECS = 1.0
STATUS_TEXT_SECS = 10.0


class Care:
    """Starts its own timers; needs nothing further."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._loop = supervisor.loop
        self._journal = supervisor.journal
        self._notifier = supervisor.notifier
        self._next_idle_look: dict[Service, float] = {}
        self._next_status_text = self._loop.now() + STATUS_TEXT_SECS
        self._tick()
        if self._notifier.ping_secs is not None:
            self._ping()

    def _tick(self) -> None:
        self._loop.after(TICK_SECS, self._tick)
        now, late = self._loop.now(), self._loop.late_secs
        for service in list(self._supervisor.services()):
            for process in list(service.processes.values()):
                if late > policy.LATE_SECS:
                    _forgive(process, late)
                self._check(service, process, now)
            self._look_for_idle(service, now)
        self._next_idle_look = {s: at for s, at in self._next_idle_look.items() if not s.stopped}
        self._journal.flush()
        if self._notifier.active and now >= self._next_status_text:
            self._next_status_text = now + STATUS_TEXT_SECS
            self._notifier.status(self._supervisor.summary())

    def _check(self, service: Service, process: Process, now: float) -> None:
        if process.end_by is not None and now >= process.end_by:
            process.end_by = now + policy.KILL_AGAIN_SECS
            self._journal.warning(f"service({service.name}): child {process.pid} does not leave when told, killing it")
            self._supervisor.apply(process, Event.OVERDUE)
            return
        if process.state is State.KILLED or not policy.is_mute(
            now,
            born=process.born,
            last_report=process.last_report,
            first_report_secs=FIRST_STATUS_SECS,
            heartbeat_secs=HEARTBEAT_GRACE_SECS,
        ):
            return
        if process.reported:
            text = f"has given no sign of life for {HEARTBEAT_GRACE_SECS} seconds, killing it"
        else:
            text = f"Initial status notification not received in {FIRST_STATUS_SECS} seconds, killing the process"
        self._journal.error(f"service({service.name}): child {process.pid}: {text}")
        self._supervisor.apply(process, Event.MUTE)

    def _look_for_idle(self, service: Service, now: float) -> None:
        interval = service.settings.idle_kill_interval_secs
        if interval is None or service.stopped or now < self._next_idle_look.setdefault(service, now + interval):
            return
        self._next_idle_look[service] = now + interval
        for process in service.processes.values():
            if process.asked_idle:
                process.asked_idle, process.idle_since = False, None
                self._journal.warning(f"service({service.name}): Process {process.pid} is ignoring idle SIGINT")
        for pid in policy.idle_victims(service.idle(), service.idle_lowwater, service.settings.process_min_avail):
            process = service.processes[pid]
            process.asked_idle, process.last_kill = True, now
            os.kill(pid, signal.SIGINT)
        service.idle_lowwater = len(service.idle())

    def _ping(self) -> None:
        assert self._notifier.ping_secs is not None
        self._loop.after(self._notifier.ping_secs, self._ping)
        self._notifier.watchdog()


def _forgive(process: Process, secs: float) -> None:
    process.born += secs
    if process.last_report is not None:
        process.last_report += secs
    if process.end_by is not None:
        process.end_by += secs
