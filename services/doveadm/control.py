"""doveadm's side of the master's control socket (docs/protocols/master.md)."""

from __future__ import annotations

import os
import socket
import time

from roost.errors import Malformed, Unavailable
from roost.ipc import control
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import encode
from services.doveadm.context import Context
from services.doveadm.peer import Peer

POLL_SECS = 0.05


class Master(Peer):
    """A connection to the running master."""

    def __init__(self, context: Context) -> None:
        """Raises Unavailable: not running, or not ours to talk to."""
        path = os.path.join(context.base_dir, "master")
        try:
            super().__init__(path, "the master", context.timeout_secs)
        except Unavailable as error:
            if os.path.exists(path) and not os.access(path, os.W_OK):
                raise
            pid_file = os.path.join(context.base_dir, "master.pid")
            raise Unavailable(f"Roost is not running (read from {pid_file})", detail=str(error)) from None
        self.send(version_line(control.NAME_CLIENT, control.MAJOR, control.MINOR))
        try:
            check_version(self.line(), control.NAME_SERVER, control.MAJOR)
        except Malformed as error:
            raise Unavailable(f"The master does not speak our language: {error}") from None

    def order(self, *words: str) -> str:
        """A request answered by ``+`` or ``-``: "" or the reason of the refusal. Raises Unavailable."""
        self.send(encode(*words))
        answer = "\t".join(self.fields())
        return "" if answer.startswith("+") else answer[1:]

    def rows(self, *words: str) -> list[list[str]]:
        """A request answered by rows and an empty line. Raises Unavailable."""
        self.send(encode(*words))
        rows = []
        while (fields := self.fields()) != [""]:
            rows.append(fields)
        return rows

    def ended(self) -> None:
        """Wait until nobody listens on the socket any more. Raises Unavailable when it takes too long."""
        deadline = time.monotonic() + (self._socket.gettimeout() or 0)
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(POLL_SECS)
                try:
                    probe.connect(self.path)
                except TimeoutError:
                    continue
                except OSError:
                    return
            time.sleep(POLL_SECS)
        raise Unavailable("The master is still there: see its log")
