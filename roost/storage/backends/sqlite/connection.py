"""The only place that opens SQLite connections: version, settings of a connection, and errors turned into ours.

SQLite before 3.51.3 can lose a commit when one process checkpoints while another starts the WAL over ("the WAL-reset
bug"); several workers on one store are exactly that case, so an older library is refused.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

import apsw

from roost import durable
from roost.errors import ConfigError, Corrupt, ReadOnly, RoostError, Unavailable

OLDEST = (3, 51, 3)
PAGE_OCTETS = 4096
BUSY_MSECS = 10_000  # how long the writer waits for another process's transaction
READ_BUSY_MSECS = 1_000  # readers wait only while another process recovers or truncates the WAL

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)

SYNCHRONOUS = {"full": 2, "normal": 1, "off": 0}


def check_library() -> None:
    """Raises ConfigError when the SQLite that apsw brings is too old."""
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ConfigError(f"SQLite {version} can lose mail; apsw with SQLite {wanted} or newer is needed",
                          key="mail_driver")  # fmt: skip


def open_connection(path: str, synchronous: str, *, for_writing: bool) -> apsw.Connection:
    """A connection to an existing database in WAL mode; one for reading waits for ``READ_BUSY_MSECS``, as another
    process may be opening it at this moment too, until the caller takes that back. Raises apsw.Error."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_MSECS if for_writing else READ_BUSY_MSECS)
        if for_writing:
            connection.setlk_timeout(BUSY_MSECS, 0)  # the lock is waited for, not polled with growing pauses
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode=WAL")  # a copy made by VACUUM INTO comes without
        connection.wal_autocheckpoint(0)  # checkpoints are the writer thread's business
        connection.execute(f"PRAGMA synchronous={SYNCHRONOUS[synchronous]}")
        keep_wal(connection, True)
    except BaseException:
        connection.close()
        raise
    return connection


def keep_wal(connection: apsw.Connection, keep: bool) -> None:
    """Whether closing the last connection leaves the WAL file, which spares making it anew at the next opening."""
    flag = ctypes.c_int(int(keep))
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(flag))


def give_back_memory() -> None:
    """Free pages between what is in use go back to the system; SQLite's caches come and go in small pieces, which the
    allocator keeps otherwise. About a millisecond. Does nothing where the C library has no such call."""
    if _TRIM is not None:
        _TRIM(0)


def create_database(path: str, image: bytes) -> None:
    """Put a new database in place: whole and durable, or not at all. One that is there already stays.

    A database file of no octets therefore never exists, and one found is damage, not a new user. A lock on the folder
    keeps two processes from doing it at once, so that the log of a removed database can be removed too: SQLite would
    apply it to the new one. Raises OSError.
    """
    folder = os.path.dirname(path)
    durable.make_folder(folder)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            _put_in_place(path, image)
            os.fsync(lock)
    finally:
        os.close(lock)


def _put_in_place(path: str, image: bytes) -> None:
    folder, own = os.path.split(path)
    for name in os.listdir(folder):  # logs of a database that was removed, attempts that a crash ended
        if name in (own + "-wal", own + "-shm") or (name.startswith(own + ".") and name.endswith(".new")):
            os.unlink(os.path.join(folder, name))
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            durable.write_all(fd, image)
            durable.crash_point("store-create-written")
            os.fsync(fd)
        finally:
            os.close(fd)
        durable.crash_point("store-create-synced")
        os.link(temporary, path)  # unlike rename never replaces anything
    finally:
        os.unlink(temporary)
    durable.crash_point("store-create-linked")


def build_image(statements: list[str]) -> bytes:
    """A database made by these statements, as the octets of its file, set to WAL mode."""
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size={PAGE_OCTETS}")
    with connection:
        for statement in statements:
            connection.execute(statement)
    image = bytearray(connection.serialize("main"))
    connection.close()
    image[18:20] = b"\2\2"  # file format versions: 2 is WAL
    return bytes(image)


def translate(exc: apsw.Error, path: str) -> RoostError:
    """Our error for one of SQLite's."""
    detail = f"{path}: {type(exc).__name__}: {exc}"
    if isinstance(exc, (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, apsw.SQLError, apsw.MismatchError)):
        return Corrupt("The mail store is damaged", detail=detail)
    if isinstance(exc, apsw.FullError):
        return Unavailable("The disk is full", detail=detail)
    if isinstance(exc, apsw.ReadOnlyError):
        return ReadOnly("The mail store cannot be written", detail=detail)
    if isinstance(exc, (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)):
        return Unavailable("The mail store is busy", detail=detail)
    return Unavailable("The mail store is not available now", detail=detail)


def translate_os(exc: OSError, path: str) -> RoostError:
    """Our error for one of the operating system's."""
    detail = f"{path}: {exc}"
    if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ReadOnly("The mail store cannot be written", detail=detail)
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Unavailable("The disk is full", detail=detail)
    return Unavailable("The mail store is not available now", detail=detail)
