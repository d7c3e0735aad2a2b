"""Where log lines go: a file, syslog, or standard error (also understood by the systemd journal). Never blocks.

A target keeps what it cannot write at once in a bounded backlog, drops the newest beyond it, and says how many were
dropped when it can write again. Files are opened for append, mode 0600; ``reopen`` swaps to a new file (log rotation)
and keeps the old one when that fails. Lines have Dovecot's form: ``<log_timestamp><prefix><Level>: <text>``.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from collections import deque
from typing import Protocol

from roost.errors import ConfigError

BACKLOG_OCTETS = 1 << 20
WRITE_OCTETS = 4096
"""A pipe that polls writable takes this much without blocking."""
FILE_WRITE_OCTETS = 1 << 16
LEVEL_WORDS = {"D": "Debug", "I": "Info", "W": "Warning", "E": "Error", "F": "Fatal", "P": "Panic"}
PRIORITIES = {"D": 7, "I": 6, "W": 4, "E": 3, "F": 2, "P": 2}
SYSLOG_FACILITIES = {
    "auth": 4, "authpriv": 10, "cron": 9, "daemon": 3, "ftp": 11, "kern": 0, "lpr": 6, "mail": 2, "news": 7,
    "syslog": 5, "user": 1, "uucp": 8, **{f"local{n}": 16 + n for n in range(8)},
}  # fmt: skip
SYSLOG_SOCKET = "/dev/log"


class Target(Protocol):
    """One destination."""

    def write(self, level: str, prefix: str, text: str, *, more: bool = False) -> None:
        """Take one line; never blocks and never raises. ``more``: others follow, and then a ``flush``."""

    def flush(self) -> bool:
        """Try to write the backlog. True when nothing is left."""

    def reopen(self) -> str | None:
        """Start a new file, for log rotation. Returns what went wrong, None when nothing did."""

    def close(self) -> None: ...


class _Backlog:
    """Octet lines waiting for a descriptor that would block."""

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque()
        self.octets = 0
        self.dropped = 0

    def add(self, line: bytes) -> None:
        if self.octets + len(line) > BACKLOG_OCTETS:
            self.dropped += 1
            return
        self.lines.append(line)
        self.octets += len(line)

    def first(self, limit: int) -> bytes:
        """The first lines as one, at most ``limit`` octets of it."""
        lines = self.lines
        if len(lines) > 1 and len(lines[0]) < limit:
            joined: list[bytes] = []
            octets = 0
            while lines and octets < limit:
                joined.append(lines.popleft())
                octets += len(joined[-1])
            lines.appendleft(b"".join(joined))
        return lines[0][:limit]

    def taken(self, count: int) -> None:
        """The first ``count`` octets of what ``first`` gave are written."""
        line = self.lines.popleft()
        self.octets -= len(line)
        if count < len(line):
            self.lines.appendleft(line[count:])
            self.octets += len(line) - count


class StreamTarget:
    """A descriptor: standard error, or a log file named ``path``."""

    def __init__(self, fd: int, timestamp: str, *, path: str = "", journal: bool = False) -> None:
        self.fd = fd
        self.path = path
        self._timestamp = timestamp
        self._journal = journal
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self._backlog = _Backlog()
        self._second = -1
        self._stamp = ""

    def write(self, level: str, prefix: str, text: str, *, more: bool = False) -> None:
        if self._journal:
            line = f"<{PRIORITIES[level]}>{prefix}{LEVEL_WORDS[level]}: {text}\n"
        else:
            line = f"{self._now()}{prefix}{LEVEL_WORDS[level]}: {text}\n"
        self._backlog.add(line.encode("utf-8", "surrogateescape"))
        if not more or self._backlog.octets >= FILE_WRITE_OCTETS:
            self.flush()

    def flush(self) -> bool:
        backlog = self._backlog
        limit = FILE_WRITE_OCTETS if self._regular else WRITE_OCTETS
        while backlog.lines:
            try:
                if not self._regular and not _writable(self.fd):
                    return False
                backlog.taken(os.write(self.fd, backlog.first(limit)))
            except OSError:
                return False
            if backlog.dropped and not backlog.lines:
                text = f"{backlog.dropped} log lines were dropped: {self.path or 'standard error'} did not take them"
                backlog.dropped = 0
                backlog.add(f"{self._now()}master: {LEVEL_WORDS['W']}: {text}\n".encode())
        return True

    def reopen(self) -> str | None:
        if not self.path:
            return None
        try:
            fd = _open_file(self.path)
        except OSError as error:
            return f"cannot open log file {self.path}: {error.strerror}"
        os.close(self.fd)
        self.fd = fd
        return None

    def close(self) -> None:
        self.flush()
        if self.path:
            os.close(self.fd)

    def _now(self) -> str:
        if not self._timestamp:
            return ""
        second = int(time.time())
        if second != self._second:
            self._second, self._stamp = second, time.strftime(self._timestamp, time.localtime(second))
        return self._stamp


class SyslogTarget:
    """The local syslog daemon; standard error takes over while it is not there."""

    def __init__(self, facility: str, ident: str, fallback: Target, path: str = SYSLOG_SOCKET) -> None:
        self._facility = SYSLOG_FACILITIES[facility]
        self._ident = ident
        self._fallback = fallback
        self._path = path
        self._socket: socket.socket | None = None
        self._connect()

    def write(self, level: str, prefix: str, text: str, *, more: bool = False) -> None:
        priority = self._facility * 8 + PRIORITIES[level]
        body = f"<{priority}>{self._ident}: {prefix}{LEVEL_WORDS[level]}: {text}"
        octets = body.encode("utf-8", "surrogateescape")
        if not (self._send(octets) or (self._connect() and self._send(octets))):
            self._fallback.write(level, prefix, text)

    def flush(self) -> bool:
        return self._fallback.flush()

    def reopen(self) -> str | None:
        return None if self._connect() else f"syslog does not answer on {self._path}"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _connect(self) -> bool:
        self.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(self._path)
        except OSError:
            sock.close()
            self._socket = None
            return False
        self._socket = sock
        return True

    def _send(self, octets: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(octets)
        except OSError:
            return False
        return True


def open_target(path: str, *, timestamp: str, facility: str, ident: str) -> Target:
    """``/dev/stderr``, ``syslog`` or a file. Raises: ConfigError naming log_path."""
    if path in ("/dev/stderr", "/dev/stdout", "-"):
        return stderr_target(timestamp)
    if path == "syslog":
        if facility not in SYSLOG_FACILITIES:
            raise ConfigError(f"unknown facility {facility}", key="syslog_facility")
        return SyslogTarget(facility, ident, stderr_target(timestamp))
    try:
        return StreamTarget(_open_file(path), timestamp, path=path)
    except OSError as error:
        raise ConfigError(f"cannot open log file {path}: {error.strerror}", key="log_path") from None


def stderr_target(timestamp: str) -> StreamTarget:
    """Standard error; with syslog priorities and no time when systemd says that the journal listens there."""
    here = os.fstat(2)
    journal = os.environ.get("JOURNAL_STREAM", "") == f"{here.st_dev}:{here.st_ino}"
    return StreamTarget(2, timestamp, journal=journal)


def _open_file(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o600)


def _writable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
