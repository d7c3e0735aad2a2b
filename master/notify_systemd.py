"""sd_notify(3) and socket activation (sd_listen_fds(3)) without libsystemd: datagrams and environment variables.

``take`` removes the variables from the environment, so that children do not inherit them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

LISTEN_FDS_START = 3


class Notifier:
    """Messages to systemd; without NOTIFY_SOCKET every call does nothing."""

    def __init__(self, address: str, watchdog_secs: float | None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.ping_secs = None if watchdog_secs is None else watchdog_secs / 2
        """How often ``watchdog`` must be called; None: systemd does not ask."""

    @property
    def active(self) -> bool:
        return bool(self._address)

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        # MONOTONIC_USEC makes Type=notify-reload work (systemd 253).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=Reloading the configuration")

    def stopping(self, status: str = "Roost stopping...") -> None:
        self._send(f"STOPPING=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.sendto(message.encode(), self._address)
            except OSError:
                # systemd being away must never stop the mail.
                return


@dataclass
class Inherited:
    """Listening sockets that systemd opened for us and nobody has taken yet: (family, port) → descriptors."""

    fds: dict[tuple[int, int], list[int]]

    def adopt(self, family: int, port: int) -> int | None:
        """One of them for this family and port; the address is systemd's business."""
        waiting = self.fds.get((family, port))
        return waiting.pop(0) if waiting else None

    def close_leftovers(self) -> list[int]:
        """Close what the configuration does not name. Returns the ports."""
        ports = []
        for (_, port), fds in self.fds.items():
            for fd in fds:
                os.close(fd)
                ports.append(port)
        self.fds = {}
        return ports


def take_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
    address = environ.pop("NOTIFY_SOCKET", "")
    usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    watchdog_secs = None
    if usec.isdigit() and int(usec) > 0 and pid in ("", str(os.getpid())):
        watchdog_secs = int(usec) / 1e6
    return Notifier(address, watchdog_secs)


def take_inherited(environ: MutableMapping[str, str]) -> Inherited:
    """From LISTEN_FDS and LISTEN_PID: the listening TCP sockets from descriptor 3 on. Others are closed."""
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    found: dict[tuple[int, int], list[int]] = {}
    if not count.isdigit() or pid != str(os.getpid()):
        return Inherited(found)
    for fd in range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)):
        key = _inet_listener(fd)
        if key is None:
            _close(fd)
        else:
            os.set_inheritable(fd, False)
            os.set_blocking(fd, False)
            found.setdefault(key, []).append(fd)
    return Inherited(found)


def _inet_listener(fd: int) -> tuple[int, int] | None:
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return None
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        return sock.family, sock.getsockname()[1]
    except OSError:
        return None
    finally:
        sock.detach()


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass
