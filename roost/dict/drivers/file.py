"""file: Dovecot's dict-file. Each commit writes the whole file anew beside the old one, syncs and renames it; a lock on
the file keeps writers of other processes waiting. Readers need no lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Sequence

from roost import durable
from roost.dict import table
from roost.dict.api import Batch, CommitResult, Flags, Key, Outcome, Surroundings, Values
from roost.dict.drivers import file_format
from roost.dict.drivers.file_format import Content
from roost.dict.paths import PathTemplate
from roost.dict.threads import Threads
from roost.errors import RoostError, Unavailable
from roost.settings.schema.dict import DictSettings

THREADS = 4
FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS = 0.0005, 0.02  # between tries to get the lock
OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileDriver:
    loop_bound = False

    def __init__(self, settings: DictSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._clock = surroundings.clock
        self._path = PathTemplate(settings.file_path, "dict_file_path", surroundings)
        self._threads = Threads(THREADS, settings.max_waiting)

    async def lookup(self, key: Key, user: str) -> Values | None:
        path = await self._path.of(user)
        return await self._threads.run(lambda: table.lookup(self._read(path, user).table, key, self._clock()))

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        file = await self._path.of(user)
        return await self._threads.run(
            lambda: table.rows(self._read(file, user).table, path, flags, limit, self._clock())
        )

    async def apply(self, batch: Batch) -> CommitResult:
        try:
            path = await self._path.of(batch.user)
            return await self._threads.run(lambda: self._change(path, batch))
        except RoostError as error:
            return CommitResult(Outcome.FAILED, str(error))

    async def close(self) -> None:
        await self._threads.close()

    # --- in a thread

    def _read(self, path: str, user: str) -> Content:
        try:
            fd = os.open(path, os.O_RDONLY | OPEN_FLAGS)
        except FileNotFoundError:
            return Content({}, {})
        except OSError as error:
            raise Unavailable("The dict cannot be read", detail=f"open({path}) failed: {error.strerror}") from None
        try:
            return self._content(fd, path, user)
        finally:
            os.close(fd)

    def _content(self, fd: int, path: str, user: str) -> Content:
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise Unavailable("The dict cannot be read", detail=f"{path} is no regular file")
            if status.st_size > self._settings.file_max_octets:
                raise Unavailable("The dict is too large", detail=f"{path}; dict_file_max_size")
            parts = []
            while part := os.read(fd, 1 << 20):
                parts.append(part)
        except OSError as error:
            raise Unavailable("The dict cannot be read", detail=f"read({path}) failed: {error.strerror}") from None
        return file_format.parse(b"".join(parts), user, self._path.alone)

    def _change(self, path: str, batch: Batch) -> CommitResult:
        try:
            fd = self._locked(path)
        except OSError as error:
            return CommitResult(Outcome.FAILED, f"open({path}) failed: {error.strerror}")
        try:
            content = self._content(fd, path, batch.user)
            now = self._clock()
            result = table.apply(content.table, batch, now)
            if not result.ok:
                return result
            data = file_format.octets(content, self._path.alone, now)
            if len(data) > self._settings.file_max_octets:
                return CommitResult(Outcome.FAILED, f"{path} would become too large; dict_file_max_size")
            return self._replaced(fd, path, data)
        finally:
            os.close(fd)  # and with it the lock

    def _replaced(self, fd: int, path: str, data: bytes) -> CommitResult:
        before = os.fstat(fd)
        try:
            durable.replace(path, data)
            if before.st_gid != os.getegid() or stat.S_IMODE(before.st_mode) != 0o600:
                self._as_before(path, before)
        except OSError as error:
            try:
                same = os.stat(path, follow_symlinks=False).st_ino == before.st_ino
            except OSError:
                same = False
            outcome = Outcome.FAILED if same else Outcome.UNCERTAIN
            return CommitResult(outcome, f"write({path}) failed: {error.strerror}")
        return CommitResult(Outcome.OK)

    def _as_before(self, path: str, before: os.stat_result) -> None:
        """The group and mode that the administrator gave the file, as far as this process may."""
        try:
            if before.st_gid != os.getegid():
                os.chown(path, -1, before.st_gid)
            os.chmod(path, before.st_mode & 0o666)
        except OSError:
            pass  # the data is written; a reader without leave will be told by its own error

    def _locked(self, path: str) -> int:
        """The present file, locked; made when it is not there. Raises OSError."""
        deadline = time.monotonic() + self._settings.file_lock_timeout_msecs / 1000
        pause = FIRST_PAUSE_SECS
        while True:
            fd = self._opened(path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False)):
                    return fd
                os.close(fd)  # another writer has just put a new file in its place: that one is to be locked
                continue
            except FileNotFoundError:
                os.close(fd)
            except BlockingIOError:
                os.close(fd)
                if time.monotonic() > deadline:
                    raise OSError(errno.ETIMEDOUT, "locked by another process; dict_file_lock_timeout") from None
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE_SECS)
            except OSError:
                os.close(fd)
                raise

    def _opened(self, path: str) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o600)
        except FileNotFoundError:
            durable.make_folder(os.path.dirname(path))
            return os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o600)


def open_file(settings: DictSettings, surroundings: Surroundings) -> FileDriver:
    """Raises ConfigError."""
    return FileDriver(settings, surroundings)
