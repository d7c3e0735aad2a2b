"""The master at work: hears children, signals and listeners, and gives every service what the policy wants.

Every event only updates records; ``_settle`` (after each turn of the loop) compares them with ``policy.wanted`` and
acts. Reload lives in ``reload.py``, stopping in ``stopping.py``, what the clock brings in ``care.py``, births in
``spawn.py``, the judgement of deaths in ``reap.py``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from master import policy, reap, status
from master.build import Generation
from master.logpipes import Journal, LogPipe
from master.loop import Loop
from master.notify_systemd import Notifier
from master.rooms import Rooms
from master.service import Process, Service
from master.signals import Order, SignalQueue
from master.spawn import Plan, spawn
from master.states import Action, Event, State, step
from roost.proc.contract import ChildContext

SHED_PER_TURN = 200
LAST_REPORT_READS = 50
GENERATION_MASK = 0xFFFFFFFF
LOG_REST_SECS = 0.01

SENDS = {Action.SEND_QUIT: signal.SIGQUIT, Action.SEND_TERM: signal.SIGTERM, Action.SEND_KILL: signal.SIGKILL}


class Supervisor:
    """All services and their processes."""

    def __init__(
        self, generation: Generation, journal: Journal, rooms: Rooms, notifier: Notifier, signals: SignalQueue
    ) -> None:
        self.loop = Loop(self._on_callback_error)
        self.generation = generation
        self.generations = 1
        self.journal = journal
        self.rooms = rooms
        self.notifier = notifier
        self.old_services: list[Service] = []
        """Of former configurations, finishing their clients."""
        self.born_wall = time.time()
        self.orders: dict[Order, Callable[[signal.Signals], None]] = {}
        """What RELOAD, STOP and REOPEN_LOGS do: set by ``run.py``."""
        self.watchers: list[Callable[[], None]] = []
        """Called after every turn, once the services are settled."""
        self._signals = signals
        self._dead_master_fd, self._alive_fd = os.pipe2(os.O_CLOEXEC)
        self._births = 0
        self._errors: list[float] = []
        self.loop.after_turn = self._after_turn
        self.loop.on_readable(signals.fd, self._on_signals)
        for service in generation.services.values():
            self.watch(service)

    def services(self) -> Iterator[Service]:
        """The present ones, then the old ones."""
        yield from self.generation.services.values()
        yield from self.old_services

    def watch(self, service: Service) -> None:
        """Begin to hear the reports of a new service."""

        def hear() -> None:
            self._on_reports(service)

        self.loop.on_readable(service.status_fd, hear)

    def pause(self, service: Service) -> None:
        """Start no more processes for it and do not listen for it."""
        service.stopped = True
        self._listen(service, False)

    def tell(self, service: Service, event: Event, end_by: float | None = None) -> int:
        """DRAIN or STOP all its processes. Returns how many were told."""
        told = [p for p in service.processes.values() if p.state is not State.GONE]
        for process in told:
            process.told = True
            if end_by is not None:
                process.end_by = end_by
            self.apply(process, event)
        return len(told)

    # -- what the policy wants ------------------------------------------------------------------------------------

    def _after_turn(self) -> None:
        for service in list(self.services()):
            self._settle(service)
        for service in [s for s in self.old_services if not s.processes]:
            self._bury(service)
        for watcher in self.watchers:
            watcher()

    def _settle(self, service: Service) -> None:
        if service.stopped:
            return
        now = self.loop.now()
        wanted = policy.wanted(service.view(now), now)
        service.knocking = False
        for _ in range(wanted.spawn):
            if not self._spawn(service):
                break
        if wanted.full:
            self._full_house(service, now, shed=wanted.shed)
        elif service.full_since is not None and (
            service.available() or service.counted() < service.settings.process_limit
        ):
            service.full_since = None
        self._listen(service, wanted.listen)

    def _spawn(self, service: Service) -> bool:
        self._births = (self._births + 1) & GENERATION_MASK
        slot = service.free_slot()
        context = ChildContext(
            service=service.settings,
            config=service.config,
            listeners=service.infos,
            generation=self._births,
            verbose_proctitle=service.verbose_proctitle,
            module=service.module,
            instance_name=service.instance_name,
            privileges=service.privileges,
        )
        try:
            birth = spawn(Plan(context, self.rooms, service.slots[slot], service.status_write_fd, self._dead_master_fd))
        except OSError as error:
            secs = service.tally.throttle(self.loop.now())
            self.journal.error(
                f"service({service.name}): fork() failed: {error.strerror}, throttling for {secs:.3f} secs"
            )
            return False
        log = LogPipe(birth.log_fd, service.name, birth.pid, self.journal, self.loop.now)
        service.processes[birth.pid] = Process(birth.pid, self._births, slot, self.loop.now(), log)
        service.process_total += 1
        self._watch_log(log)
        return True

    def _listen(self, service: Service, wanted: bool) -> None:
        for fd in service.listen_fds():
            if wanted and not self.loop.watches(fd):
                self.loop.on_readable(fd, lambda: self._on_knock(service))
            elif not wanted:
                self.loop.forget(fd)

    def _full_house(self, service: Service, now: float, *, shed: bool) -> None:
        if service.full_since is None:
            service.full_since = now
        if service.last_drop_warning is None or now - service.last_drop_warning >= policy.FULL_WARNING_SECS:
            service.last_drop_warning = now
            self.journal.warning(
                f"service({service.name}): {_limit_reached(service)}, client connections are being dropped"
            )
        if shed:
            for fd in service.listen_fds():
                _turn_away(fd)

    def _bury(self, service: Service) -> None:
        self.old_services.remove(service)
        self.loop.forget(service.status_fd)
        service.close()

    # -- what happens ---------------------------------------------------------------------------------------------

    def _on_knock(self, service: Service) -> None:
        service.knocking = True

    def _watch_log(self, log: LogPipe) -> None:
        self.loop.on_readable(log.fd, lambda: self._on_log(log), quiet=True)

    def _on_log(self, log: LogPipe) -> None:
        """Read, then let the pipe rest: a busy service writes a thousand lines a second, and a wake-up for each would
        cost as much as the work they tell of."""
        more = log.read()
        self.loop.forget(log.fd)
        if more:
            self.loop.after(LOG_REST_SECS, lambda: self._watch_log(log), quiet=True)
        else:
            log.close()

    def _on_reports(self, service: Service) -> bool:
        """Read some reports. False when there are none."""
        try:
            data = os.read(service.status_fd, status.READ_OCTETS)
        except BlockingIOError:
            return False
        reports, torn = status.decode(data)
        if torn:
            self.journal.error(f"service({service.name}): service sent partial status update ({torn} bytes)")
        for report in reports:
            process = service.processes.get(report.pid)
            if process is None:
                continue
            if process.generation != report.generation:
                text = f"Ignoring invalid update from child {report.pid} (UID={report.generation})"
                self.journal.error(f"service({service.name}): {text}")
                continue
            self._heard(service, process, report)
        return True

    def _heard(self, service: Service, process: Process, report: status.Report) -> None:
        now = self.loop.now()
        process.served += max(process.available - report.available, 0) if process.reported else 0
        process.last_report, process.available = now, report.available
        idle = report.event is Event.AVAILABLE and report.available >= service.effective_client_limit
        if not idle:
            process.idle_since, process.asked_idle = None, False
            service.idle_lowwater = min(service.idle_lowwater, len(service.idle()))
        elif process.idle_since is None:
            process.idle_since = now
        self.apply(process, report.event)

    def apply(self, process: Process, event: Event) -> None:
        """One step of the table of states, and what it asks for."""
        process.state, action = step(process.state, event)
        signum = SENDS.get(action)
        if signum is not None:
            process.told = True
            process.last_kill = self.loop.now()
            os.kill(process.pid, signum)

    def _on_signals(self) -> None:
        for signum, order in self._signals.take():
            if order is Order.REAP:
                self._reap()
            else:
                self.orders[order](signum)

    def _reap(self) -> None:
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            service = next((s for s in self.services() if pid in s.processes), None)
            if service is None:
                # As the first process of a container we inherit every orphan.
                if os.getpid() != 1:
                    self.journal.error(f"waitpid() returned unknown PID {pid}")
            else:
                # Its last report may still be in the pipe: who reported must not count as unable to start.
                for _ in range(LAST_REPORT_READS):
                    if not self._on_reports(service):
                        break
                self._on_death(service, service.processes.pop(pid), reap.decode(wait_status))

    def _on_death(self, service: Service, process: Process, end: reap.Exit) -> None:
        now = self.loop.now()
        self.apply(process, Event.EXIT)
        told = process.told or process.asked_idle
        report = reap.ExitReport(end, process.pid, process.reported, now - process.born, told)
        service.idle_lowwater = min(service.idle_lowwater, len(service.idle()))
        process.log.drain(failed=report.failed)
        if report.failed:
            self.journal.error(reap.describe(service.name, report, service.settings.vsz_limit_octets))
        secs = service.tally.note_exit(report, now)
        if secs:
            self.journal.error(f"service({service.name}): command startup failed, throttling for {secs:.3f} secs")

    # -- telling --------------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """``imap 412 clients, lmtp 3 clients, auth throttled``: one line for systemctl status."""
        now = self.loop.now()
        parts = []
        for service in self.generation.services.values():
            state = f"{service.clients()} clients"
            if service.tally.throttled(now):
                state = "throttled"
            elif service.stopped:
                state = "stopped"
            parts.append(f"{service.name} {state}")
        draining = sum(len(service.processes) for service in self.old_services)
        if draining:
            parts.append(f"{draining} processes finish their clients")
        return ", ".join(parts)

    def _on_callback_error(self) -> None:
        self.journal.error("internal error in the master:\n" + traceback.format_exc())
        now = self.loop.now()
        self._errors = [at for at in self._errors if now - at < policy.ERRORS_SECS] + [now]
        if len(self._errors) > policy.ERRORS_MAX:
            self.journal.fatal("too many internal errors, giving up")
            self.journal.flush()
            sys.stderr.flush()
            os._exit(os.EX_SOFTWARE)


def _limit_reached(service: Service) -> str:
    settings = service.settings
    if settings.process_limit > 1:
        return f"process_limit ({settings.process_limit}) reached"
    if settings.restart_request_count and settings.restart_request_count < settings.client_limit:
        return f"client_limit/restart_request_count ({settings.restart_request_count}) reached"
    return f"client_limit ({settings.client_limit}) reached"


def _turn_away(listen_fd: int) -> None:
    """Accept and close what waits in the queue."""
    listener = socket.socket(fileno=listen_fd)
    try:
        for _ in range(SHED_PER_TURN):
            client, _ = listener.accept()
            client.close()
    except OSError:
        return
    finally:
        listener.detach()
