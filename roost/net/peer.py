"""Who is at the other end of a connection."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import NamedTuple

_UCRED = struct.Struct("=iII")


class Peer(NamedTuple):
    """Addresses as text without brackets or zone; empty and 0 for UNIX sockets.

    Behind a trusted proxy these are the addresses the proxy announced.
    """

    remote_ip: str = ""
    remote_port: int = 0
    local_ip: str = ""
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The process at the other end of a UNIX socket, as the kernel saw it at connect."""

    pid: int
    unix_uid: int
    unix_gid: int


def peer_of(remote: object, local: object) -> Peer:
    """From the addresses the socket calls give: tuples for TCP, anything else is a UNIX socket."""
    return Peer(*_pair(remote), *_pair(local))


def _pair(address: object) -> tuple[str, int]:
    if not isinstance(address, tuple) or len(address) < 2:
        return "", 0
    ip = str(address[0])
    if ":" in ip:
        ip = ip.partition("%")[0]
        if ip.startswith("::ffff:") and "." in ip:
            ip = ip[7:]
    return ip, int(address[1])


def credentials_of(fd: int) -> Credentials | None:
    """None when ``fd`` is not a UNIX socket."""
    with socket.socket(fileno=socket.dup(fd)) as sock:
        if sock.family != socket.AF_UNIX:
            return None
        return Credentials(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))
