"""``base_dir/master.pid``: one master per base_dir, by a lock that a crash releases.

The number in the file is for people and tools; the lock (flock) decides. So a stale file, or a pid that now belongs to
another program, never stands in the way, and two masters that start at once cannot both win.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from roost.errors import ConfigError

LOOKERS_ATTEMPTS = 3
"""``running_pid`` of somebody else holds the lock for an instant: look again before calling it a master."""


class AlreadyRunning(ConfigError):
    """Another master has this base_dir."""


class PidFile:
    """The held lock. ``release`` removes the file."""

    def __init__(self, path: Path) -> None:
        """Raises: AlreadyRunning; ConfigError when the file cannot be made."""
        self.path = path
        self._fd = _lock(path)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Remove the file, then give up the lock; in that order, so that nobody sees a free lock on our name."""
        try:
            self.path.unlink()
        except OSError:
            pass
        os.close(self._fd)


def running_pid(path: Path) -> int | None:
    """The pid of the master that holds ``path``, None when nobody does. 0: somebody does, but wrote no number yet.

    Raises: ConfigError when the file exists and may not be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", key="base_dir") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _read_pid(fd)
    finally:
        os.close(fd)


def _lock(path: Path) -> int:
    for attempt in range(10):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise ConfigError(f"cannot create {path}: {error.strerror}", key="base_dir") from None
        os.fchmod(fd, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(fd)
            os.close(fd)
            if attempt < LOOKERS_ATTEMPTS:
                time.sleep(0.02)
                continue
            raise AlreadyRunning(
                f"Roost is already running with PID {pid} (read from {path}); "
                "stop it first, or give this instance a base_dir of its own",
                key="base_dir",
            ) from None
        # A master that stopped meanwhile has unlinked the name we locked: take the new one.
        try:
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)
    raise ConfigError(f"cannot lock {path}: it keeps changing", key="base_dir")


def _read_pid(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
