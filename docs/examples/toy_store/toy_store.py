"""A mail store in about a hundred lines: every change of a user is one line of JSON in ``<home>/mail.log``.

A line is written and synced before the change is answered; a crash can leave half a line at the end, which is cut off
when the file is opened next. Anything else that cannot be read is damage and is said to be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from roost.errors import Corrupt, Unavailable
from roost.storage.api import Backend, BackendContext, Identity
from roost.storage.simple import SimpleBackend, Step, from_line, to_line

FILE = "mail.log"


class ToyBackend(SimpleBackend):
    """``load`` reads the lines, ``commit`` adds one."""

    def load(self, identity: Identity) -> Iterator[Sequence[Step]]:
        path = log_path(identity)
        try:
            with open(path, "r+b") as file:
                whole = 0  # octets of complete lines
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        file.truncate(whole)  # the crash came before this change was acknowledged
                        break
                    try:
                        yield from_line(line)
                    except (ValueError, KeyError, TypeError) as exc:
                        raise Corrupt("The mail store is damaged", detail=f"{path} line {number}: {exc}") from exc
                    whole += len(line)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise Unavailable("The mail store is not available now", detail=f"{path}: {exc}") from exc

    def commit(self, identity: Identity, steps: Sequence[Step]) -> None:
        path = log_path(identity)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                try:
                    write_all(fd, to_line(steps))
                    os.fsync(fd)
                except OSError:
                    os.ftruncate(fd, size)  # a full disk: as if nothing had been tried
                    raise
            finally:
                os.close(fd)
            if not size:
                sync_folder(os.path.dirname(path))
        except OSError as exc:
            raise Unavailable("The mail store is not available now", detail=f"{path}: {exc}") from exc


def log_path(identity: Identity) -> str:
    """The user's file; the home comes from the user database, no name is ever put into a path."""
    if not os.path.isabs(identity.home):
        raise Unavailable("No place for mail", detail=f"{identity.username} has no home")
    return os.path.join(identity.home, FILE)


def write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_folder(path: str) -> None:
    """Make the new file's name durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_toy(context: BackendContext) -> Backend:
    """The factory named by the entry point."""
    return ToyBackend(context)
