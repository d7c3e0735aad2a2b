"""Rooms may look at a configuration before it counts: scripts that do not load stop a start, or a reload.

A room that has something to look at has a module or object ``PRECHECK`` with ``wanted(config)`` and ``check(config)``.
``check`` runs in a child of its own, with the rights and the memory of its service, for at most LIMIT_SECS: nothing a
script does can harm the master. What it raises is why the configuration is refused; whoever is not done in time is
named on the log, and passes.
"""

from __future__ import annotations

import importlib
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

from master.service import Service
from roost.errors import ConfigError
from roost.proc import orphan, privileges, signals
from roost.settings import Config

LIMIT_SECS = 10.0
MAX_TEXT_OCTETS = 8192


class Precheck(Protocol):
    """A room's ``PRECHECK``."""

    def wanted(self, config: Config) -> bool: ...

    def check(self, config: Config) -> None:
        """Raises ConfigError."""
        ...


def precheck(services: Iterable[Service], warn: Callable[[str], None]) -> None:
    """Raises: ConfigError."""
    for service in services:
        try:
            found: Precheck | None = vars(importlib.import_module(service.module)).get("PRECHECK")
            if found is None or not found.wanted(service.config):
                continue
        except Exception:
            continue  # a room that cannot be loaded is reported by Rooms.preload
        text = _in_child(service, found, warn)
        if text:
            raise ConfigError(text.removeprefix("Error in configuration: "), key="")


def _in_child(service: Service, found: Precheck, warn: Callable[[str], None]) -> str:
    """Why the configuration is refused; "" when it is not."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    master_pid = os.getpid()
    with signals.all_blocked():
        pid = os.fork()
        if pid == 0:
            _child(service, found, write_fd, master_pid)
    os.close(write_fd)
    said = b""
    end_by = time.monotonic() + LIMIT_SECS
    try:
        while (left := end_by - time.monotonic()) > 0 and select.select([read_fd], [], [], left)[0]:
            chunk = os.read(read_fd, 65536)
            if not chunk:
                return said[:MAX_TEXT_OCTETS].decode("utf-8", "replace")
            said += chunk[:MAX_TEXT_OCTETS]
        warn(f"service({service.name}): its scripts were not loaded within {LIMIT_SECS:.0f} s, going on all the same")
        return ""
    finally:
        os.close(read_fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _child(service: Service, found: Precheck, write_fd: int, master_pid: int) -> NoReturn:
    try:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        signals.reset_in_child()
        orphan.die_with_parent()
        if orphan.is_orphan(master_pid):
            os._exit(0)
        limit = service.settings.vsz_limit_octets
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        privileges.drop(service.privileges)
        found.check(service.config)
    except ConfigError as error:
        os.write(write_fd, str(error).encode("utf-8", "backslashreplace")[:MAX_TEXT_OCTETS])
    except BaseException:
        os.write(write_fd, traceback.format_exc().encode("utf-8", "backslashreplace")[-MAX_TEXT_OCTETS:])
    finally:
        os._exit(0)
