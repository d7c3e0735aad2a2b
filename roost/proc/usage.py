"""Facts about processes: memory, age, who owns a port. The only door to psutil, which is imported on first use.

A process that is gone, or that we may not look at, yields None: facts are for showing, never for deciding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process costs."""

    rss_octets: int
    private_octets: int | None
    """Memory it shares with nobody; None when the system does not tell us."""
    cpu_secs: float
    uptime_secs: float
    fds: int | None
    user: str


def usage(pid: int) -> Usage | None:
    """Resource use of ``pid``, or None when it is gone or hidden."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            memory = process.memory_info()
            return Usage(
                rss_octets=memory.rss,
                private_octets=_private_octets(process),
                cpu_secs=times.user + times.system,
                uptime_secs=max(time.time() - process.create_time(), 0.0),
                fds=_fds(process),
                user=process.username(),
            )
    except (psutil.Error, OSError):
        return None


def command_name(pid: int) -> str:
    """The title or name of a process, "" when unknown."""
    import psutil

    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        return command[0] if command and command[0] else process.name()
    except (psutil.Error, OSError):
        return ""


def port_owner(port: int) -> tuple[int, str] | None:
    """(pid, name) of a process that listens on TCP ``port``, None when nobody does or we may not know."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                return connection.pid, command_name(connection.pid)
    except (psutil.Error, OSError):
        return None
    return None


def _private_octets(process: object) -> int | None:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        return int(process.memory_full_info().uss)
    except (psutil.Error, OSError, AttributeError):
        return None


def _fds(process: object) -> int | None:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        return process.num_fds()
    except (psutil.Error, OSError):
        return None
