"""Files that survive a power cut: write, fsync, rename, fsync the folder; and numbered points to crash at in tests.

``replace`` leaves either the old content or the new one, never a mixture, and returns only when the new one is on disk.
"""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path

_armed: dict[str, int] = {}


def replace(path: str | Path, data: bytes, *, mode: int = 0o600) -> None:
    """Atomically make ``data`` the content of ``path``; durable before return.

    Raises: OSError, with the old content untouched and no temporary file left.
    """
    target = os.fspath(path)
    temporary = f"{target}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            write_all(fd, data)
            crash_point("replace-written")
            os.fsync(fd)
        finally:
            os.close(fd)
        crash_point("replace-synced")
        os.rename(temporary, target)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
    crash_point("replace-renamed")
    sync_folder(os.path.dirname(target) or ".")


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every octet, however the system cuts them. Raises: OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_file(path: str | Path) -> None:
    """fsync an existing file by name. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: str | Path) -> None:
    """Make the names in a folder durable. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: str | Path, *, mode: int = 0o700) -> None:
    """Create a folder and its missing parents, each durable in its parent. Existing ones are left alone."""
    target = os.path.abspath(path)
    missing = []
    while not os.path.isdir(target):
        missing.append(target)
        target = os.path.dirname(target)
    for folder in reversed(missing):
        try:
            os.mkdir(folder, mode)
        except FileExistsError:
            continue
        sync_folder(os.path.dirname(folder))


def crash_point(name: str) -> None:
    """A place where a power cut would be interesting. Does nothing unless a test has armed it."""
    if _armed:
        _count_down(name)


def arm(name: str, nth: int = 1) -> None:
    """Tests only: kill this process with SIGKILL when crash point ``name`` is passed for the ``nth`` time."""
    _armed[name] = nth


def _count_down(name: str) -> None:
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
