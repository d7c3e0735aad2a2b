"""Blocking, line-wise connections to Roost's services, with a time limit. Every failure is Unavailable."""

from __future__ import annotations

import socket
from types import TracebackType

from roost.errors import Malformed, Unavailable
from roost.ipc.lines import LineSplitter, decode_text

MAX_LINE_OCTETS = 1 << 20  # a status row may be long; the services are trusted


class Peer:
    """One connection; use as a context manager. ``name``: whom the error texts mean."""

    def __init__(self, path: str, name: str, timeout_secs: float) -> None:
        """Raises Unavailable."""
        self.path = path
        self.name = name
        self._lines: list[bytes] = []
        self._splitter = LineSplitter(MAX_LINE_OCTETS)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_secs)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise self._failed(error) from None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise self._failed(error) from None

    def line(self) -> bytes:
        """The next line without its LF."""
        while not self._lines:
            try:
                chunk = self._socket.recv(65536)
            except OSError as error:
                raise self._failed(error) from None
            if not chunk:
                raise Unavailable(f"{self.name} closed the connection ({self.path})")
            try:
                self._lines = self._splitter.feed(chunk)
            except Malformed:
                raise Unavailable(f"{self.name} sent a line that is too long ({self.path})") from None
        return self._lines.pop(0)

    def fields(self) -> list[str]:
        """The next line's fields."""
        return decode_text(self.line())

    def _failed(self, error: OSError) -> Unavailable:
        if isinstance(error, TimeoutError):
            return Unavailable(f"{self.name} does not answer in time ({self.path})")
        return Unavailable(f"Can't talk to {self.name}: {self.path}: {error.strerror or error}")
