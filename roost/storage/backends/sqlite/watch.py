"""Has anybody committed since? Answered from the mapped ``-shm`` file, without asking SQLite.

The file begins with the header of the WAL index, which every commit of every process rewrites (a counter, the number of
frames, a checksum). Comparing its 48 octets costs 0.06 µs, ``PRAGMA data_version`` 2.

A trap makes this file what it is: closing *any* descriptor of a file drops *all* POSIX locks that the process holds on
it, and SQLite's locks live in this file. So a descriptor is opened once, kept by a table of the whole process, and only
closed after the last connection to that database is closed.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from threading import Lock

HEADER_OCTETS = 48
_COUNTER = struct.Struct("=8xI")


@dataclass(slots=True)
class _Mapping:
    fd: int
    map: mmap.mmap
    users: int


_mappings: dict[tuple[int, int], _Mapping] = {}
_lock = Lock()


class Watch:
    """``head()`` differs when something was committed in between."""

    __slots__ = ("_key", "_map")

    def __init__(self, path: str) -> None:
        """``path`` of the database, on which a connection has read already. Raises OSError, ValueError."""
        with _lock:
            status = os.stat(path + "-shm")
            self._key = (status.st_dev, status.st_ino)
            found = _mappings.get(self._key)
            if found is None:
                fd = os.open(path + "-shm", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                # From here on the descriptor must stay open, also when the mapping fails.
                found = _Mapping(fd, mmap.mmap(fd, HEADER_OCTETS, prot=mmap.PROT_READ), 0)
                _mappings[self._key] = found
            found.users += 1
            self._map = found.map

    def head(self) -> bytes:
        """The header as it is now; equal heads mean that nothing was committed between them."""
        return self._map[:HEADER_OCTETS]

    def close(self) -> None:
        """Only after the connections are closed."""
        with _lock:
            found = _mappings[self._key]
            found.users -= 1
            if not found.users:
                del _mappings[self._key]
                found.map.close()
                os.close(found.fd)


def only_one_commit_between(before: bytes, after: bytes) -> bool:
    """Is ``after`` what exactly one commit made of ``before``? (The header counts transactions.)"""
    return int(_COUNTER.unpack_from(after)[0]) == (int(_COUNTER.unpack_from(before)[0]) + 1) & 0xFFFFFFFF
