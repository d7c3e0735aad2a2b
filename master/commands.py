"""``roost reload``, ``stop`` and ``status``: talk to the running master of a configuration.

When its control socket does not answer, reload and stop fall back to the signals.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from master.client import ControlClient
from master.pidfile import running_pid
from roost.errors import Unavailable
from roost.ipc.control import ProcessRow, ServiceRow
from roost.proc.usage import usage

STOP_SECS = 30.0
STOP_POLL_SECS = 0.05
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def reload(base_dir: Path) -> int:
    """Exit code 0: the new configuration is in force; 78: it is wrong and the old one stays."""
    pid = _pid(base_dir)
    try:
        with ControlClient(base_dir / "master") as client:
            problem = client.order("RELOAD")
    except Unavailable as error:
        os.kill(pid, signal.SIGHUP)
        print(f"roost: {error}; sent SIGHUP to {pid}, see the log", file=sys.stderr)
        return os.EX_OK
    if problem:
        print(f"roost: {problem}\nroost: the old configuration stays in force", file=sys.stderr)
        return os.EX_CONFIG
    return os.EX_OK


def stop(base_dir: Path) -> int:
    """Exit code 0 once the master is gone; 75 when it does not go."""
    pid = _pid(base_dir)
    try:
        with ControlClient(base_dir / "master", timeout_secs=5.0) as client:
            client.order("SHUTDOWN")
    except Unavailable:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECS
    while time.monotonic() < deadline:
        if running_pid(base_dir / "master.pid") is None:
            return os.EX_OK
        time.sleep(STOP_POLL_SECS)
    print(f"roost: the master (PID {pid}) is still there after {STOP_SECS:.0f} seconds", file=sys.stderr)
    return os.EX_TEMPFAIL


def status(base_dir: Path) -> int:
    """Print the table. Exit code 0 when all is well, 75 when a service is throttled or full."""
    _pid(base_dir)
    with ControlClient(base_dir / "master") as client:
        info, services, processes = client.info(), client.services(), client.processes()
    now = time.time()
    print(f"Roost {info.version}, PID {info.pid}, up {_duration(now - info.born)}, {info.config_path}")
    if info.last_reload_problem:
        print(f"Last reload refused: {info.last_reload_problem}")
    print()
    rows = [("master", info.pid, "running", "", now - info.born)]
    rows += [(row.name, row.pid, row.state, _clients(row, services), now - row.born) for row in processes]
    _print_table(("SERVICE", "PID", "STATE", "CLIENTS", "MEMORY", "PRIVATE", "CPU", "UPTIME"), map(_columns, rows))
    print()
    summary = [
        (row.name, f"{row.process_count}/{row.process_limit}", str(row.clients), str(row.process_total), _health(row))
        for row in services
    ]
    _print_table(("SERVICE", "PROCESSES", "CLIENTS", "STARTED", "STATE"), summary)
    return os.EX_OK if all(_health(row) in ("ok", "stopped") for row in services) else os.EX_TEMPFAIL


COMMANDS: dict[str, Callable[[Path], int]] = {"reload": reload, "stop": stop, "status": status}


def _pid(base_dir: Path) -> int:
    pid = running_pid(base_dir / "master.pid")
    if pid is None:
        raise Unavailable(f"Roost is not running (base_dir {base_dir})")
    return pid


def _clients(row: ProcessRow, services: Sequence[ServiceRow]) -> str:
    if row.clients < 0:
        return "?"
    return str(row.clients) if row.state in ("ready", "busy") else ""


def _health(row: ServiceRow) -> str:
    if row.stopped:
        return "stopped"
    if row.throttle_secs:
        return f"throttled for {row.throttle_secs} s"
    if row.listen_pending:
        return "full, turning clients away"
    return "ok"


def _columns(row: tuple[str, int, str, str, float]) -> tuple[str, ...]:
    name, pid, state, clients, uptime_secs = row
    facts = usage(pid)
    if facts is None:
        return name, str(pid), state, clients, "?", "?", "?", _duration(uptime_secs)
    private = "?" if facts.private_octets is None else _size(facts.private_octets)
    return (
        name,
        str(pid),
        state,
        clients,
        _size(facts.rss_octets),
        private,
        f"{facts.cpu_secs:.1f}s",
        _duration(uptime_secs),
    )


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _size(octets: int) -> str:
    return f"{octets / (1 << 20):.1f}M"


def _duration(secs: float) -> str:
    rest = max(int(secs), 0)
    parts: list[str] = []
    for length, unit in _UNITS:
        if rest >= length or parts:
            parts.append(f"{rest // length}{unit}")
            rest %= length
    return " ".join([*parts, f"{rest}s"][:2])


def explain(error: Exception) -> str:
    """What went wrong, on one line of standard error."""
    return f"roost: {error}"
