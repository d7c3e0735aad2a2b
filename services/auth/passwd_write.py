"""Another password for one user of a passwd-file: the file is replaced as a whole, at one moment, or not at all.

A reader sees the old file or the new one. The new one has the old one's owner, group and mode, and is on the disk
before it takes the old one's place. All other lines stay as they are, octet for octet. Two processes that replace at
once take turns (a lock on the file ``<name>.lock`` beside it); who finds that the password is no longer the one that
was proved leaves the file alone.
"""

from __future__ import annotations

import fcntl
import os
import stat

from roost.errors import Refused, Unavailable

FORBIDDEN = frozenset(":\n\r\0")


def replace_password(path: str, user: str, old: str, new: str, max_octets: int) -> None:
    """``old``: the password as the file had it when it was proved. Blocks. Raises Unavailable, Refused."""
    if FORBIDDEN & set(new):
        raise Refused("Not stored.", detail="the stored form has characters that a passwd-file cannot hold")
    try:
        path = os.path.realpath(path)  # a link stays one
        lock = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _replace(path, user, old, new, max_octets)
        finally:
            os.close(lock)
    except OSError as error:
        raise Unavailable("Not stored.", detail=f"{path}: {error.strerror or error}") from error


def _replace(path: str, user: str, old: str, new: str, max_octets: int) -> None:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_octets:
            raise Unavailable("Not stored.", detail=f"{path}: not a regular file, or bigger than passwd_file_max_size")
        octets = file.read(max_octets + 1)
    octets = _changed(octets, _octets(user), _octets(old), _octets(new))
    temporary = f"{path}.{os.getpid()}.tmp"
    target = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(target, "wb") as out:
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(out.fileno(), status.st_uid, status.st_gid)
            os.fchmod(out.fileno(), stat.S_IMODE(status.st_mode))
            out.write(octets)
            out.flush()
            os.fsync(out.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _changed(octets: bytes, user: bytes, old: bytes, new: bytes) -> bytes:
    """The file's content with the new password. Raises Refused when the first line of the user has another one."""
    lines = octets.split(b"\n")
    for number, line in enumerate(lines):
        name, colon, rest = line.partition(b":")
        if name != user or not colon or not name:
            continue
        password, second, after = rest.partition(b":")
        ended = b"" if second or not password.endswith(b"\r") else b"\r"
        if password.removesuffix(ended) != old:
            break
        lines[number] = name + colon + new + ended + second + after
        return b"\n".join(lines)
    raise Refused("Not stored.", detail="the password has been changed meanwhile")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
