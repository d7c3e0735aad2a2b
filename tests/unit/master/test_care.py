"""What the clock brings, with a clock of our own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from master.care import Care
from master.service import Process
from master.states import Event, State, step
from roost.proc.contract import FIRST_STATUS_SECS, HEARTBEAT_GRACE_SECS


class _Loop:
    def __init__(self) -> None:
        self.time, self.late_secs = 1000.0, 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def after(self, secs: float, callback: Callable[[], None]) -> None:
        self.timers.append((self.time + secs, callback))

    def advance(self, secs: float) -> None:
        """Let every timer of the next ``secs`` run, in order."""
        end = self.time + secs
        while self.timers and min(at for at, _ in self.timers) <= end:
            due = min(self.timers, key=lambda timer: timer[0])
            self.timers.remove(due)
            self.time = max(self.time, due[0])
            due[1]()
        self.time = end


class _Journal:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.warning = self.error = self.texts.append

    def flush(self) -> bool:
        return True


class _Notifier:
    def __init__(self) -> None:
        self.active, self.ping_secs = True, 0.5
        self.pings, self.texts = 0, []  # type: ignore[var-annotated]

    def watchdog(self) -> None:
        self.pings += 1

    def status(self, text: str) -> None:
        self.texts.append(text)


class _Settings:
    idle_kill_interval_secs: int | None = 60
    process_min_avail = 1


class _Service:
    def __init__(self, *processes: Process) -> None:
        self.name, self.settings, self.stopped, self.idle_lowwater = "imap", _Settings(), False, 0
        self.processes = {process.pid: process for process in processes}

    def idle(self) -> list[tuple[float, int]]:
        return [(p.idle_since, p.pid) for p in self.processes.values() if p.idle_since is not None and not p.asked_idle]


class _Supervisor:
    def __init__(self, *processes: Process) -> None:
        self.loop, self.journal, self.notifier = _Loop(), _Journal(), _Notifier()
        self.service = _Service(*processes)
        self.applied: list[tuple[int, Event]] = []

    def services(self) -> list[_Service]:
        return [self.service]

    def apply(self, process: Process, event: Event) -> None:
        process.state, _ = step(process.state, event)
        self.applied.append((process.pid, event))

    def summary(self) -> str:
        return "imap 3 clients"


def process(pid: int, **facts: Any) -> Process:
    return Process(pid=pid, generation=1, slot=0, born=1000.0, log=None, **facts)  # type: ignore[arg-type]


def care_for(*processes: Process) -> _Supervisor:
    supervisor = _Supervisor(*processes)
    Care(supervisor)  # type: ignore[arg-type]
    return supervisor


def test_a_child_that_never_reports_is_killed_once() -> None:
    supervisor = care_for(process(7))
    supervisor.loop.advance(FIRST_STATUS_SECS - 1)
    assert supervisor.applied == []
    supervisor.loop.advance(10)
    assert supervisor.applied == [(7, Event.MUTE)]
    assert "Initial status notification not received in 30 seconds" in supervisor.journal.texts[0]


def test_a_child_without_heartbeat_is_killed() -> None:
    supervisor = care_for(
        process(7, state=State.BUSY, last_report=1000.0), process(8, state=State.READY, last_report=1029.0)
    )
    supervisor.loop.advance(HEARTBEAT_GRACE_SECS + 1)
    assert supervisor.applied == [(7, Event.MUTE)]
    assert "no sign of life" in supervisor.journal.texts[0]


def test_a_sleeping_machine_forgives() -> None:
    supervisor = care_for(process(7, state=State.READY, last_report=1000.0))
    supervisor.loop.late_secs = 3600.0
    supervisor.loop.time += 3600.0
    supervisor.loop.advance(0.5)
    supervisor.loop.late_secs = 0.0
    assert supervisor.applied == []
    supervisor.loop.advance(HEARTBEAT_GRACE_SECS + 1)
    assert supervisor.applied == [(7, Event.MUTE)]


def test_who_does_not_leave_when_told_is_killed_and_again() -> None:
    supervisor = care_for(process(7, state=State.KILLED, last_report=1000.0, end_by=1005.0))
    supervisor.loop.advance(4.0)
    assert supervisor.applied == []
    supervisor.loop.advance(12.0)
    assert supervisor.applied == [(7, Event.OVERDUE), (7, Event.OVERDUE)]


def test_surplus_idle_children_are_asked_and_the_deaf_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, signum: asked.append((pid, signum)))
    idle = [process(n, state=State.READY, last_report=1000.0, idle_since=float(n)) for n in (1, 2, 3)]
    supervisor = care_for(*idle)

    def beat(secs: float) -> None:
        for _ in range(int(secs // 10)):
            for each in idle:
                each.last_report = supervisor.loop.time
            supervisor.loop.advance(10)

    beat(60)  # the first look only learns how many were idle
    assert asked == []
    beat(60)
    assert asked == [(1, signal.SIGINT), (2, signal.SIGINT)]
    beat(60)
    assert [text for text in supervisor.journal.texts if "ignoring idle SIGINT" in text] == [
        "service(imap): Process 1 is ignoring idle SIGINT",
        "service(imap): Process 2 is ignoring idle SIGINT",
    ]
    assert len(asked) == 2


def test_systemd_is_kept_informed() -> None:
    supervisor = care_for()
    supervisor.loop.advance(30)
    assert supervisor.notifier.pings >= 60
    assert supervisor.notifier.texts[:1] == ["imap 3 clients"] and len(supervisor.notifier.texts) == 3
