"""systemd's variables: taken once, believed only for our own pid."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from master.notify_systemd import Notifier, take_inherited, take_notifier


def test_without_systemd_nothing_happens() -> None:
    environ = {"PATH": "/bin"}
    notifier = take_notifier(environ)
    assert not notifier.active and notifier.ping_secs is None
    notifier.ready("x")
    assert environ == {"PATH": "/bin"}


def test_messages_and_watchdog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        environ = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "2000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        notifier = take_notifier(environ)
        assert environ == {} and notifier.ping_secs == 1.0
        notifier.ready("v1 running")
        assert systemd.recv(1000).decode() == f"READY=1\nSTATUS=v1 running\nMAINPID={os.getpid()}"
        notifier.stopping()
        assert systemd.recv(1000).decode().startswith("STOPPING=1\n")
    notifier.watchdog()  # nobody listens any more: no error


def test_a_watchdog_of_somebody_else_is_ignored() -> None:
    assert take_notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).ping_secs is None
    assert take_notifier({"WATCHDOG_USEC": "soon"}).ping_secs is None
    assert Notifier("@x", 4.0).ping_secs == 2.0


def test_listen_fds_of_another_pid_are_left_alone() -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b"}
    assert take_inherited(environ).fds == {}
    assert environ == {}
    assert take_inherited({"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())}).fds == {}
