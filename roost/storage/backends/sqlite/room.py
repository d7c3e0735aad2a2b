"""Room at the end of the log: zeros written ahead, so that a commit overwrites instead of making the file longer.

Where a file grows, ``fdatasync`` waits for the file system's own journal too, and the whole commit costs half as much
again; where octets that are there are replaced it does not. A full log is written over from its beginning, so this
matters until it has reached its size once: always, for a user to whom a few messages come before the store is closed
and the log removed.

What SQLite finds behind the last commit it takes for an earlier use of the log: a frame counts only when it carries the
log's salt and its checksum, and zeros carry neither. The lock for writing is held while they are written, so that no
process writes there at the same time.
"""

from __future__ import annotations

import os

from roost import durable

FRAME_OCTETS = 4096 + 24
HEAD_FRAMES = 16  # a commit of a small message or two fits in here
FIRST_COMMITS = 2  # before it is known that more will come, nothing is prepared
LEAST_OCTETS, MOST_OCTETS = 1 << 16, 1 << 18  # at a time: as much as the log has already, between these

_ZEROS = bytes(MOST_OCTETS)


class LogRoom:
    """Of one writing connection."""

    __slots__ = ("_commits", "_frames", "_path", "_room")

    def __init__(self, path: str) -> None:
        """``path`` of the log."""
        self._path = path
        self._commits = 0
        self._frames = 0
        self._room = 0  # frames that the file holds, as far as is known

    def committed(self, frames: int) -> None:
        """A durable commit has left the log with so many frames in use."""
        grown = frames - self._frames
        self._frames = frames
        # A large one lengthens the file by itself, at once and for less.
        self._commits = self._commits + 1 if grown <= HEAD_FRAMES else 0

    def make(self) -> None:
        """Inside a write transaction that has written nothing yet. What does not work is left to SQLite to meet."""
        if self._frames + HEAD_FRAMES <= self._room or self._commits < FIRST_COMMITS:
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                size = os.fstat(fd).st_size
                if self._frames + HEAD_FRAMES > size // FRAME_OCTETS:
                    more = min(max(size, LEAST_OCTETS), MOST_OCTETS)
                    durable.crash_point("store-room")
                    size += os.pwrite(fd, memoryview(_ZEROS)[:more], size)
            finally:
                os.close(fd)
        except OSError:
            self._commits = 0  # a full disk: tried again when commits succeed
            return
        self._room = size // FRAME_OCTETS
