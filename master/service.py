"""One service and its processes, as the master sees them: records and counters, no action.

A ``Service`` belongs to one configuration; a reload makes a new one beside it, and the old one, ``stopped``, lives on
until its last process ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from master.logpipes import LogPipe
from master.policy import View
from master.reap import Tally
from master.states import State
from roost.proc.contract import FD_FIRST_LISTENER, ListenerInfo
from roost.proc.privileges import Privileges
from roost.settings import Config
from roost.settings.schema import FifoListener, InetListener, ServiceSettings, UnixListener


@dataclass(slots=True)
class Process:
    """One child."""

    pid: int
    generation: int
    slot: int
    born: float
    log: LogPipe
    state: State = State.STARTING
    available: int = 0
    last_report: float | None = None
    idle_since: float | None = None
    """Since when it has no client; None while it has some, or is not known to have none."""
    told: bool = False
    """It was asked to end."""
    end_by: float | None = None
    """It is killed if it lives longer."""
    served: int = 0
    """Clients it has taken, as far as its reports show."""
    asked_idle: bool = False
    """It got an idle SIGINT at the last look."""
    last_kill: float | None = None

    @property
    def reported(self) -> bool:
        return self.last_report is not None


@dataclass(eq=False)
class Service:
    """One service of one configuration."""

    settings: ServiceSettings
    config: Config
    module: str
    privileges: Privileges
    slots: tuple[tuple[int, ...], ...]
    """Descriptors of the listeners, in configuration order, for each slot; one slot unless reuse_port."""
    infos: tuple[ListenerInfo, ...]
    instance_name: str
    verbose_proctitle: bool
    tally: Tally = field(default_factory=Tally)
    processes: dict[int, Process] = field(default_factory=dict)
    stopped: bool = False
    """No further process is started: stopped by an administrator, or of an old configuration."""
    knocking: bool = False
    full_since: float | None = None
    last_drop_warning: float | None = None
    idle_lowwater: int = 0
    process_total: int = 0

    def __post_init__(self) -> None:
        self.status_fd, self.status_write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def effective_client_limit(self) -> int:
        count = self.settings.restart_request_count
        return min(self.settings.client_limit, count) if count else self.settings.client_limit

    def close(self) -> None:
        """Close the status pipe; the listeners are not ours."""
        os.close(self.status_fd)
        os.close(self.status_write_fd)

    def listen_fds(self) -> Iterable[int]:
        return (fd for slot in self.slots for fd in slot)

    def counted(self) -> int:
        """Processes that count toward process_limit: a retiring one only if it could have one client alone."""
        retiring_counts = self.settings.client_limit == 1
        return sum(1 for p in self.processes.values() if retiring_counts or p.state is not State.RETIRING)

    def available(self) -> int:
        return sum(1 for p in self.processes.values() if p.state in (State.READY, State.STARTING))

    def idle(self) -> list[tuple[float, int]]:
        """(idle since, pid) of processes without clients."""
        return [
            (p.idle_since, p.pid)
            for p in self.processes.values()
            if p.idle_since is not None and p.state is State.READY and not p.asked_idle
        ]

    def clients(self) -> int:
        """Connected clients, as far as the processes have told; a retiring process does not tell."""
        limit = self.effective_client_limit
        states = (State.READY, State.BUSY)
        return sum(max(limit - p.available, 0) for p in self.processes.values() if p.state in states)

    def view(self, now: float) -> View:
        return View(
            counted=self.counted(),
            available=self.available(),
            min_available=self.settings.process_min_avail,
            limit=self.settings.process_limit,
            knocking=self.knocking,
            throttled=self.tally.throttled(now),
            stopped=self.stopped,
            full_since=self.full_since,
        )

    def free_slot(self) -> int:
        """A slot that no living process uses; the emptiest when all are in use."""
        used = [p.slot for p in self.processes.values()]
        return min(range(len(self.slots)), key=used.count)


def listener_infos(settings: ServiceSettings, present: Iterable[int]) -> tuple[ListenerInfo, ...]:
    """What children are told of the listeners whose index is in ``present``; numbers from FD_FIRST_LISTENER on."""
    infos = []
    for fd, index in enumerate(present, FD_FIRST_LISTENER):
        listener = settings.listeners[index]
        if isinstance(listener, InetListener):
            infos.append(
                ListenerInfo(fd, "inet", listener.name, listener.type, ssl=listener.ssl, haproxy=listener.haproxy)
            )
        else:
            infos.append(_path_info(fd, listener))
    return tuple(infos)


def _path_info(fd: int, listener: UnixListener | FifoListener) -> ListenerInfo:
    name = os.path.basename(listener.path)
    role = listener.type or (name.rsplit("-", 1)[1] if "-" in name else "")
    return ListenerInfo(fd, "unix" if isinstance(listener, UnixListener) else "fifo", name, role, path=listener.path)
