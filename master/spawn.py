"""The birth of a child: fork, descriptors to their fixed numbers, limits, title, then the room (or exec).

Two ways, one contract (``roost/proc/contract.py``): ``fork`` runs the frame that the master has already loaded, about
a millisecond; ``exec`` starts a fresh interpreter that shares no address layout and no memory with the master.
Between fork and the end of ``_place`` the child touches nothing but descriptors; it never returns into the master.
"""

from __future__ import annotations

import faulthandler
import fcntl
import importlib
import os
import resource
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from master.reap import EXIT_EXEC, EXIT_OUT_OF_MEMORY
from master.rooms import Rooms
from roost.proc import handover, orphan, privileges, signals
from roost.proc.contract import FD_DEAD_MASTER, FD_HANDOVER, FD_LOG, FD_STATUS, ChildContext
from roost.proc.title import set_title


@dataclass(frozen=True, slots=True)
class Plan:
    """A child to be. ``listeners`` are the master's descriptors, in the order of ``context.listeners``."""

    context: ChildContext
    rooms: Rooms
    listeners: tuple[int, ...]
    status_fd: int
    dead_master_fd: int


@dataclass(frozen=True, slots=True)
class Birth:
    """A child that is: its pid and the read end of its log pipe."""

    pid: int
    log_fd: int


def spawn(plan: Plan) -> Birth:
    """Fork a child. Raises: OSError when the system has no room for it."""
    execs = plan.context.service.spawn == "exec"
    master_pid = os.getpid()
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    handover_fd = -1
    try:
        if execs:
            handover_fd = handover.offer(plan.context)
        sys.stdout.flush()
        sys.stderr.flush()
        with signals.all_blocked():
            pid = os.fork()
            if pid == 0:
                _child(plan, write_fd, handover_fd, master_pid)
    except OSError:
        os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
        if handover_fd >= 0:
            os.close(handover_fd)
    os.set_blocking(read_fd, False)
    return Birth(pid, read_fd)


def _child(plan: Plan, log_fd: int, handover_fd: int, master_pid: int) -> NoReturn:
    code = 1
    try:
        _place(_targets(plan, log_fd, handover_fd), keep_across_exec=handover_fd >= 0)
        signals.reset_in_child()
        # Out of the terminal's group: Ctrl-C is for the master, which stops us in good order.
        os.setpgid(0, 0)
        context = plan.context
        if context.privileges.die_with_master:
            orphan.die_with_parent()
            if orphan.is_orphan(master_pid):
                os._exit(0)
        if context.service.vsz_limit_octets:
            limit = context.service.vsz_limit_octets
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        if context.service.drop_priv_before_exec:
            privileges.drop(context.privileges)
        if handover_fd >= 0:
            code = EXIT_EXEC
            command = [sys.executable, "-I", "-m", plan.rooms.exec_module]
            os.execve(sys.executable, command, dict(os.environ))
        faulthandler.enable(FD_LOG)
        set_title(context.instance_name, context.service.name, "initializing")
        code = _exit_code(importlib.import_module(plan.rooms.frame).main(context))
    except SystemExit as leaving:
        code = _exit_code(leaving.code)
    except MemoryError:
        code = EXIT_OUT_OF_MEMORY
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(code)


def _exit_code(value: object) -> int:
    """What ``main`` returned or ``SystemExit`` carried, as Python's own exit would take it."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    print(value, file=sys.stderr)
    return 1


def _targets(plan: Plan, log_fd: int, handover_fd: int) -> Mapping[int, int]:
    targets = {FD_LOG: log_fd, FD_STATUS: plan.status_fd, FD_DEAD_MASTER: plan.dead_master_fd}
    if handover_fd >= 0:
        targets[FD_HANDOVER] = handover_fd
    for info, fd in zip(plan.context.listeners, plan.listeners, strict=True):
        targets[info.fd] = fd
    return targets


def _place(targets: Mapping[int, int], *, keep_across_exec: bool) -> None:
    """Move every source to its target number and close all others. First out of the way, then into place."""
    base = max(targets) + 1
    moved = {target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, base) for target, source in targets.items()}
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    for target, source in moved.items():
        os.dup2(source, target, inheritable=keep_across_exec or target == FD_LOG)
    for fd in _open_fds():
        if fd > FD_LOG and fd not in targets:
            try:
                os.close(fd)
            except OSError:
                pass


def _open_fds() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return list(range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
