"""The master's control socket (``base_dir/master``, docs/protocols/master.md): its rows as values.

The rows are Dovecot's, with fields of ours behind them; a reader ignores fields it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from roost.errors import Malformed

NAME_SERVER, NAME_CLIENT = "master-server", "master-client"
MAJOR, MINOR = 1, 0


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service in ``SERVICE-STATUS``. Times are UTC seconds, 0 = never."""

    name: str
    process_count: int
    process_avail: int
    process_limit: int
    client_limit: int
    throttle_secs: int
    exit_failure_last: int
    exit_failures_in_sec: int
    last_drop_warning: int
    listen_pending: bool
    listening: bool
    stopped: bool
    process_total: int
    clients: int

    def fields(self) -> list[str]:
        return [_text(value) for value in astuple(self)]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process in ``PROCESS-STATUS``. ``state`` is ``starting ready busy retiring killed``."""

    name: str
    pid: int
    available_count: int
    total_count: int
    idle_start: int
    last_status_update: int
    last_kill_sent: int
    state: str
    clients: int
    """-1: not known (a retiring process does not tell)."""
    born: int

    def fields(self) -> list[str]:
        return [_text(value) for value in astuple(self)]


@dataclass(frozen=True, slots=True)
class Info:
    """The answer to ``INFO``."""

    version: str
    pid: int
    config_path: str
    born: int
    generation: int
    """How many configurations it has had, the first included."""
    last_reload_problem: str

    def fields(self) -> list[str]:
        return [_text(value) for value in astuple(self)]


def parse_service(fields: Sequence[str]) -> ServiceRow:
    """Raises: Malformed."""
    _at_least(fields, 14)
    n = _numbers(fields, 1, 8)
    yes = [field == "y" for field in fields[9:12]]
    last = _numbers(fields, 12, 2)
    return ServiceRow(
        fields[0], n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], yes[0], yes[1], yes[2], last[0], last[1]
    )


def parse_process(fields: Sequence[str]) -> ProcessRow:
    """Raises: Malformed."""
    _at_least(fields, 10)
    n = _numbers(fields, 1, 6)
    last = _numbers(fields, 8, 2)
    return ProcessRow(fields[0], n[0], n[1], n[2], n[3], n[4], n[5], fields[7], last[0], last[1])


def parse_info(fields: Sequence[str]) -> Info:
    """Raises: Malformed."""
    _at_least(fields, 6)
    pid, born, generation = (_numbers(fields, at, 1)[0] for at in (1, 3, 4))
    return Info(fields[0], pid, fields[2], born, generation, fields[5])


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "y" if value else "n"
    return str(value)


def _at_least(fields: Sequence[str], count: int) -> None:
    if len(fields) < count:
        raise Malformed("The master's answer is too short.", detail=f"{len(fields)} fields where {count} are needed")


def _numbers(fields: Sequence[str], start: int, count: int) -> list[int]:
    try:
        return [int(field) for field in fields[start : start + count]]
    except ValueError:
        raise Malformed("The master's answer has no number where one belongs.", detail=repr(fields)) from None
