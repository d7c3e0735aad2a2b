"""Binding what the services listen on, before privileges drop; every failure says what to do about it.

``Listeners`` holds bound descriptors by key, so that a reload takes over what stays the same: a TCP socket never has a
gap, a UNIX socket keeps its clients in the queue. Descriptors are plain numbers: a forked child closes them all at once
and no object may close a number that has become something else.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from master.notify_systemd import Inherited
from roost.errors import ConfigError
from roost.proc import usage
from roost.proc.privileges import find_group, find_user
from roost.settings.schema import FifoListener, InetListener, ServiceSettings, UnixListener

Listener = UnixListener | FifoListener | InetListener
Key = tuple[str, str, int, int]
"""kind, host or path, port, slot (with reuse_port each process has its own socket)."""

BACKLOG_MIN = 4
BACKLOG_MAX = 65535
UNIX_PATH_MAX_OCTETS = 107
STALE_ATTEMPTS = 3


@dataclass
class Bound:
    """One open listener. ``identity`` is (device, inode) of the name of a UNIX socket or FIFO."""

    key: Key
    fd: int
    identity: tuple[int, int] | None = None


class Listeners:
    """All open listeners of one configuration."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._bound: dict[Key, Bound] = {}
        self._adopted: list[tuple[ServiceSettings, Listener]] = []

    def open(
        self, service: ServiceSettings, listener: Listener, slot: int, *, before: Listeners | None, inherited: Inherited
    ) -> int | None:
        """The descriptor of a listener: taken from ``before``, from systemd, or bound now. None: not possible on
        this machine and not worth failing for (no IPv6).

        Raises: ConfigError naming the setting.
        """
        key = _key(listener, slot)
        if key in self._bound:
            raise ConfigError(f"duplicate listener: {_name(listener)}", key=f"service {service.name}")
        bound = self._adopt(key, before)
        if bound is not None:
            self._adopted.append((service, listener))
        else:
            bound = self._bind(service, listener, key, inherited, own=before is not None and before.has_port(listener))
        if bound is None:
            return None
        self._bound[key] = bound
        return bound.fd

    def has_port(self, listener: Listener) -> bool:
        """True when one of these has the listener's TCP port, on whatever address."""
        return isinstance(listener, InetListener) and any(
            key[0] == "inet" and key[2] == listener.port for key in self._bound
        )

    def commit(self) -> None:
        """The reload goes through: give what was taken over the owners and modes of the new configuration."""
        for service, listener in self._adopted:
            if not isinstance(listener, InetListener):
                try:
                    _own(service, listener)
                except ConfigError as error:
                    self._warn(str(error))
        self._adopted = []

    def discard(self, keep: Listeners | None) -> None:
        """Close everything that ``keep`` does not hold as well, and remove the names of what is closed."""
        for key, bound in self._bound.items():
            if keep is not None and (other := keep._bound.get(key)) is not None and other.fd == bound.fd:
                continue
            os.close(bound.fd)
            if bound.identity is not None:
                _unlink_if_ours(bound)
        self._bound = {}

    def _adopt(self, key: Key, before: Listeners | None) -> Bound | None:
        bound = before._bound.get(key) if before is not None else None
        if bound is None or (bound.identity is not None and _identity(bound.key[1]) != bound.identity):
            return None
        return bound

    def _bind(
        self, service: ServiceSettings, listener: Listener, key: Key, inherited: Inherited, *, own: bool
    ) -> Bound | None:
        backlog = min(max(service.process_limit * service.client_limit, BACKLOG_MIN), BACKLOG_MAX)
        if isinstance(listener, InetListener):
            fd = inherited.adopt(_family(listener), listener.port) if key[3] == 0 else None
            if fd is None:
                fd = self._bind_inet(service, listener, backlog, own=own)
            return None if fd is None else Bound(key, fd)
        make_parents(listener.path)
        if isinstance(listener, UnixListener):
            fd = _bind_unix(service, listener, backlog)
        else:
            fd = _open_fifo(service, listener)
        bound = Bound(key, fd, _identity(listener.path))
        try:
            _own(service, listener)
        except ConfigError:
            os.close(fd)
            _unlink_if_ours(bound)
            raise
        return bound

    def _bind_inet(self, service: ServiceSettings, listener: InetListener, backlog: int, *, own: bool) -> int | None:
        family = _family(listener)
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if service.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Accepted connections inherit both: two system calls less for each.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((listener.host, listener.port))
            sock.listen(backlog)
            return sock.detach()
        except OSError as error:
            if sock is not None:
                sock.close()
            if listener.host == "::" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                self._warn(f"IPv6 is not available here: {service.name} does not listen on {_name(listener)}")
                return None
            raise ConfigError(_inet_problem(service, listener, error, own=own), key=f"service {service.name}") from None


def _key(listener: Listener, slot: int) -> Key:
    if isinstance(listener, InetListener):
        return "inet", listener.host, listener.port, slot
    return ("unix" if isinstance(listener, UnixListener) else "fifo"), listener.path, 0, 0


def _name(listener: Listener) -> str:
    if not isinstance(listener, InetListener):
        return listener.path
    return f"[{listener.host}]:{listener.port}" if ":" in listener.host else f"{listener.host}:{listener.port}"


def _family(listener: InetListener) -> int:
    return socket.AF_INET6 if ":" in listener.host else socket.AF_INET


def _inet_problem(service: ServiceSettings, listener: InetListener, error: OSError, *, own: bool) -> str:
    """``own``: we ourselves, before this reload, listen on that port."""
    setting = f"service {service.name} {{ inet_listener {listener.name} {{ port }} }}"
    where = f"cannot listen on {_name(listener)}"
    if error.errno == errno.EADDRINUSE:
        if own:
            return f"{where}: this server has port {listener.port} on another address; stop and start for that change"
        owner = usage.port_owner(listener.port)
        by = f" by {owner[1]} (pid {owner[0]})" if owner else " by another program"
        return f"{where}: port {listener.port} is already in use{by}; stop it, or set {setting} to a free port"
    if error.errno in (errno.EACCES, errno.EPERM):
        need = "ports below 1024 need root or CAP_NET_BIND_SERVICE"
        return f"{where}: {need}; start as root, or set {setting} to 1024 or more"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine does not have the address {listener.host} (See listen setting)"
    return f"{where}: {error.strerror or error} (See {setting} setting)"


def _bind_unix(service: ServiceSettings, listener: UnixListener, backlog: int) -> int:
    see = f"(See service {service.name} {{ unix_listener {listener.path} }} setting)"
    octets = len(os.fsencode(listener.path))
    if octets > UNIX_PATH_MAX_OCTETS:
        raise ConfigError(
            f"the socket path {listener.path} has {octets} octets, the system allows {UNIX_PATH_MAX_OCTETS}; "
            "choose a shorter base_dir",
            key=f"service {service.name}",
        )
    for _ in range(STALE_ATTEMPTS):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        old_mask = os.umask(0o177)  # nobody gets in before owner and mode are right
        try:
            sock.bind(listener.path)
            sock.listen(backlog)
            return sock.detach()
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"cannot make the socket {listener.path}: {error.strerror} {see}") from None
        finally:
            os.umask(old_mask)
        _remove_stale(listener.path, see)
    raise ConfigError(f"cannot make the socket {listener.path}: it is remade by somebody else {see}")


def _remove_stale(path: str, see: str) -> None:
    """Unlink a socket nobody listens on. Raises: ConfigError when it is alive, or no socket at all."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError(f"{path} exists and is not a socket; move it away {see}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except FileNotFoundError:
        return
    except BlockingIOError:
        pass  # its queue is full: somebody listens
    except OSError as error:
        raise ConfigError(f"cannot look at the socket {path}: {error.strerror} {see}") from None
    raise ConfigError(f"the socket {path} is already in use by another program; stop it first {see}")


def _open_fifo(service: ServiceSettings, listener: FifoListener) -> int:
    try:
        try:
            os.mkfifo(listener.path, 0o600)
        except FileExistsError:
            if not stat.S_ISFIFO(os.lstat(listener.path).st_mode):
                raise ConfigError(f"{listener.path} exists and is not a fifo; move it away") from None
        return os.open(listener.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        see = f"(See service {service.name} {{ fifo_listener }} setting)"
        raise ConfigError(f"cannot make the fifo {listener.path}: {error.strerror} {see}") from None


def _own(service: ServiceSettings, listener: UnixListener | FifoListener) -> None:
    """Owner, then mode. Without root the owner settings have no effect. Raises: ConfigError."""
    kind = "unix_listener" if isinstance(listener, UnixListener) else "fifo_listener"
    where = f"service {service.name} {{ {kind} {os.path.basename(listener.path)}"
    try:
        if os.geteuid() == 0:
            unix_uid = find_user(listener.user, see=f"{where} {{ user }} }}").pw_uid if listener.user else 0
            unix_gid = find_group(listener.group, see=f"{where} {{ group }} }}") if listener.group else 0
            os.chown(listener.path, unix_uid, unix_gid)
        os.chmod(listener.path, listener.mode)
    except OSError as error:
        raise ConfigError(f"cannot set owner and mode of {listener.path}: {error.strerror}", key=where) from None


def make_parents(path: str) -> None:
    """The folders above a socket, 0755 each. Raises: ConfigError."""
    old_mask = os.umask(0o022)
    try:
        Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder of {path}: {error.strerror}", key="base_dir") from None
    finally:
        os.umask(old_mask)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unlink_if_ours(bound: Bound) -> None:
    if _identity(bound.key[1]) == bound.identity:
        try:
            os.unlink(bound.key[1])
        except OSError:
            pass
