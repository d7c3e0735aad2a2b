"""The other end of the control socket: what ``roost status``, ``reload`` and ``stop`` say to a running master."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from roost.errors import Malformed, Unavailable
from roost.ipc import control, handshake, lines

ANSWER_SECS = 60.0


class ControlClient:
    """A connection; use as a context manager. Every method raises Unavailable when the master does not answer."""

    def __init__(self, path: Path, timeout_secs: float = ANSWER_SECS) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_secs)
        self._lines: list[bytes] = []
        self._splitter = lines.LineSplitter(1 << 20)
        try:
            self._socket.connect(str(path))
            self._socket.sendall(handshake.version_line(control.NAME_CLIENT, control.MAJOR, control.MINOR))
            handshake.check_version(self._line(), control.NAME_SERVER, control.MAJOR)
        except OSError as error:
            self._socket.close()
            raise self._unavailable(error) from None
        except Malformed as error:
            self._socket.close()
            raise Unavailable("The master does not speak our language.", detail=str(error)) from None

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def order(self, *fields: str) -> str:
        """A request answered by ``+`` or ``-``. Returns "" or the reason of the refusal."""
        self._send(fields)
        answer = lines.to_text(lines.unescape(self._line()))
        return "" if answer.startswith("+") else answer[1:]

    def rows(self, *fields: str) -> list[list[str]]:
        """A request answered by rows and an empty line."""
        self._send(fields)
        rows = []
        while line := self._line():
            rows.append(lines.decode_text(line))
        return rows

    def services(self) -> list[control.ServiceRow]:
        return [control.parse_service(row) for row in self.rows("SERVICE-STATUS")]

    def processes(self) -> list[control.ProcessRow]:
        return [control.parse_process(row) for row in self.rows("PROCESS-STATUS")]

    def info(self) -> control.Info:
        rows = self.rows("INFO")
        if not rows:
            raise Malformed("The master's answer is too short.")
        return control.parse_info(rows[0])

    def _send(self, fields: tuple[str, ...]) -> None:
        try:
            self._socket.sendall(lines.encode(*fields))
        except OSError as error:
            raise self._unavailable(error) from None

    def _line(self) -> bytes:
        while not self._lines:
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise self._unavailable(error) from None
            if not data:
                raise Unavailable("The master closed the connection.", detail=str(self._path))
            self._lines = self._splitter.feed(data)
        return self._lines.pop(0)

    def _unavailable(self, error: OSError) -> Unavailable:
        reason = error.strerror or ("no answer in time" if isinstance(error, TimeoutError) else str(error))
        return Unavailable(f"cannot talk to the master on {self._path}: {reason}")
