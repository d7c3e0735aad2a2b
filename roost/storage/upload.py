"""A message while it arrives: in memory up to a bound, in an unlinked-on-abort temporary file above it.

Whoever makes an ``Upload`` closes it (``with``); a store that takes over the file calls ``take_file`` first. Nothing is
left behind by an abort, an exception or a cancelled task. Not synced: durability is the store's business.
"""

from __future__ import annotations

import os
from types import TracebackType

from roost.errors import TooBig, Unavailable

MEMORY_OCTETS = 256 * 1024
_FRESH = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Upload:
    """``Upload(expected_octets)``, then ``write`` the octets, then give it to ``create_messages``.

    ``limit_octets`` None means no limit. ``folder`` None keeps everything in memory.
    """

    __slots__ = ("_chunks", "_closed", "_fd", "_path", "expected_octets", "folder", "limit_octets", "memory_octets",
                 "size_octets")  # fmt: skip

    def __init__(
        self,
        size_octets: int = 0,
        *,
        memory_octets: int = MEMORY_OCTETS,
        folder: str | None = None,
        limit_octets: int | None = None,
    ) -> None:
        """``size_octets``: how many are announced (0 when unknown). Raises TooBig."""
        if limit_octets is not None and size_octets > limit_octets:
            raise too_big(limit_octets)
        self.expected_octets = size_octets
        self.memory_octets = memory_octets
        self.folder = folder
        self.limit_octets = limit_octets
        self.size_octets = 0
        self._chunks: list[bytes] = []
        self._fd = -1
        self._path = ""
        self._closed = False

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Add octets (copied). Raises TooBig above the limit, Unavailable when the disk refuses."""
        if self._closed:
            raise ValueError("write to a closed upload")
        size = self.size_octets + len(chunk)
        if self.limit_octets is not None and size > self.limit_octets:
            raise too_big(self.limit_octets)
        if self._fd >= 0:
            self._spill(chunk)
        elif self.folder is not None and max(size, self.expected_octets) > self.memory_octets:
            self._open_file()
            if self._chunks:
                self._spill(b"".join(self._chunks))
                self._chunks = []
            self._spill(chunk)
        else:
            self._chunks.append(bytes(chunk))
        self.size_octets = size

    def data(self) -> bytes:
        """All octets written so far; reads the file when there is one. Raises Unavailable, also after an abort."""
        if self._closed:
            raise Unavailable("The message is gone", detail="upload closed before it was stored")
        if self._fd >= 0:
            try:
                return read_all(self._fd, self.size_octets)
            except OSError as exc:
                raise Unavailable("Cannot read the message back", detail=f"{self._path}: {exc}") from exc
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    @property
    def path(self) -> str | None:
        """The temporary file's path, or None while the octets are in memory."""
        return self._path or None

    def take_file(self) -> tuple[int, str]:
        """Hand the open descriptor and the path of the file over: the caller closes and removes them from now on."""
        fd, path = self._fd, self._path
        self._fd, self._path = -1, ""
        self._closed = True
        return fd, path

    def abort(self) -> None:
        """Throw everything away; harmless when repeated."""
        self._closed = True
        self._chunks = []
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._path:
            try:
                os.unlink(self._path)
            except OSError:
                pass
            self._path = ""

    close = abort

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.abort()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._fd >= 0:
            self.abort()

    def _open_file(self) -> None:
        assert self.folder is not None
        path = f"{self.folder}/{os.urandom(16).hex()}.tmp"
        try:
            try:
                self._fd = os.open(path, _FRESH, 0o600)
            except FileNotFoundError:
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
                self._fd = os.open(path, _FRESH, 0o600)
        except OSError as exc:
            raise Unavailable("Cannot store the message now", detail=f"{self.folder}: {exc}") from exc
        self._path = path

    def _spill(self, chunk: bytes | bytearray | memoryview) -> None:
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as exc:
            raise Unavailable("Cannot store the message now", detail=f"{self.folder}: {exc.strerror}") from exc


def too_big(limit_octets: int) -> TooBig:
    return TooBig(f"Message is larger than the maximum of {limit_octets} octets")


def read_all(fd: int, size_octets: int) -> bytes:
    """The first octets of a file. Raises OSError, also when there are not as many."""
    parts = []
    at = 0
    while at < size_octets:
        part = os.pread(fd, min(size_octets - at, 1 << 24), at)
        if not part:
            raise OSError("the file became shorter")
        parts.append(part)
        at += len(part)
    return b"".join(parts)
