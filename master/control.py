"""The control socket ``base_dir/master`` (mode 0600): status, stop, reload (docs/protocols/master.md).

Lines of TAB-separated fields; every answer ends with an empty line, or is one line beginning with ``+`` or ``-``.
A peer that is slow, silent or too long loses its connection; there are at most CONNECTIONS_MAX of them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from master.service import Process, Service
from master.states import Event, State
from master.stopping import BACK_SECS
from master.supervisor import Supervisor
from roost.errors import ConfigError, Malformed
from roost.ipc import control, handshake, lines
from roost.proc.contract import RETIRED

CONNECTIONS_MAX = 16
LINE_MAX_OCTETS = 4096
OUTPUT_MAX_OCTETS = 1 << 20
SILENCE_SECS = 30.0
BACKLOG = 16


class ControlServer:
    """Answers administrators. ``reload`` and ``shutdown`` are what SIGHUP and SIGTERM do."""

    def __init__(
        self,
        supervisor: Supervisor,
        path: Path,
        version: str,
        *,
        reload: Callable[[], str],
        shutdown: Callable[[], None],
        last_problem: Callable[[], str],
    ) -> None:
        self.supervisor = supervisor
        self.version = version
        self.path = path
        self.reload, self.shutdown, self.last_problem = reload, shutdown, last_problem
        self.connections: set[_Connection] = set()
        self._socket = bind(path)
        supervisor.loop.on_readable(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening; present connections may read their answers."""
        self.supervisor.loop.forget(self._socket.fileno())
        self._socket.close()
        try:
            self.path.unlink()
        except OSError:
            pass

    def _accept(self) -> None:
        try:
            peer, _ = self._socket.accept()
        except OSError:
            return
        if len(self.connections) >= CONNECTIONS_MAX:
            peer.close()
            return
        peer.setblocking(False)
        self.connections.add(_Connection(self, peer))

    def answer(self, fields: Sequence[str]) -> bytes:
        """The answer to one request line."""
        handler = REQUESTS.get(fields[0])
        return handler(self, fields[1:]) if handler is not None else _refusal(f"Unknown command: {fields[0]}")


class _Connection:
    """One administrator."""

    def __init__(self, server: ControlServer, peer: socket.socket) -> None:
        self._server = server
        self._socket = peer
        self._splitter = lines.LineSplitter(LINE_MAX_OCTETS)
        self._greeted = False
        self._output = handshake.version_line(control.NAME_SERVER, control.MAJOR, control.MINOR)
        self._loop = server.supervisor.loop
        self._loop.on_readable(peer.fileno(), self._read)
        self._silence = self._loop.after(SILENCE_SECS, self._close)
        self._write()

    def _read(self) -> None:
        try:
            data = self._socket.recv(LINE_MAX_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._silence.cancel()
        self._silence = self._loop.after(SILENCE_SECS, self._close)
        try:
            for line in self._splitter.feed(data):
                self._take(line)
        except Malformed:
            self._close()
            return
        self._write()

    def _take(self, line: bytes) -> None:
        if not self._greeted:
            handshake.check_version(line, control.NAME_CLIENT, control.MAJOR)
            self._greeted = True
        else:
            self._output += self._server.answer(lines.decode_text(line))

    def _write(self) -> None:
        try:
            while self._output:
                self._output = self._output[self._socket.send(self._output) :]
        except BlockingIOError:
            self._when_writable()
        except OSError:
            self._close()

    def _when_writable(self) -> None:
        """Read no more until the answer is taken; who never takes it falls to the timer."""
        if len(self._output) > OUTPUT_MAX_OCTETS:
            self._close()
            return
        fd = self._socket.fileno()
        self._loop.forget(fd)
        self._loop.on_writable(fd, self._writable)

    def _writable(self) -> None:
        fd = self._socket.fileno()
        self._loop.forget(fd)
        self._loop.on_readable(fd, self._read)
        self._write()

    def _close(self) -> None:
        self._silence.cancel()
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._server.connections.discard(self)


def bind(path: Path) -> socket.socket:
    """The listening control socket, mode 0600. The pid file's lock says that an old name is stale.

    Raises: ConfigError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    old_mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        reason = error.strerror or error
        raise ConfigError(f"cannot make the control socket {path}: {reason}", key="base_dir") from None
    finally:
        os.umask(old_mask)
    return sock


def _refusal(text: str) -> bytes:
    return lines.encode("-" + text)


def _service_status(server: ControlServer, arguments: Sequence[str]) -> bytes:
    rows = [_service_row(server.supervisor, service) for service in server.supervisor.generation.services.values()]
    return b"".join(lines.encode(*row.fields()) for row in rows) + b"\n"


def _process_status(server: ControlServer, arguments: Sequence[str]) -> bytes:
    rows = [
        _process_row(server.supervisor, service, process)
        for service in server.supervisor.services()
        for process in service.processes.values()
        if not arguments or service.name in arguments
    ]
    return b"".join(lines.encode(*row.fields()) for row in rows) + b"\n"


def _stop(server: ControlServer, arguments: Sequence[str]) -> bytes:
    services = server.supervisor.generation.services
    unknown = [name for name in arguments if name not in services]
    if unknown or not arguments:
        return _refusal(f"Unknown service: {' '.join(unknown)}" if unknown else "STOP needs names of services")
    for name in arguments:
        server.supervisor.pause(services[name])
        server.supervisor.tell(services[name], Event.STOP, server.supervisor.loop.now() + BACK_SECS)
    return b"+\n"


def _reload(server: ControlServer, arguments: Sequence[str]) -> bytes:
    problem = server.reload()
    return _refusal(problem) if problem else b"+\n"


def _shutdown(server: ControlServer, arguments: Sequence[str]) -> bytes:
    server.shutdown()
    return b"+\n"


def _reopen(server: ControlServer, arguments: Sequence[str]) -> bytes:
    server.supervisor.journal.reopen()
    return b"+\n"


def _info(server: ControlServer, arguments: Sequence[str]) -> bytes:
    supervisor = server.supervisor
    info = control.Info(
        version=server.version,
        pid=os.getpid(),
        config_path=supervisor.generation.config.path,
        born=int(supervisor.born_wall),
        generation=supervisor.generations,
        last_reload_problem=server.last_problem(),
    )
    return lines.encode(*info.fields()) + b"\n"


def _errors(server: ControlServer, arguments: Sequence[str]) -> bytes:
    rows = [
        lines.encode(level, f"{wall:.6f}", prefix, text)
        for level, wall, prefix, text in server.supervisor.journal.recent
    ]
    return b"".join(rows) + b"\n"


REQUESTS: dict[str, Callable[[ControlServer, Sequence[str]], bytes]] = {
    "SERVICE-STATUS": _service_status,
    "PROCESS-STATUS": _process_status,
    "STOP": _stop,
    "RELOAD": _reload,
    "SHUTDOWN": _shutdown,
    "LOG-REOPEN": _reopen,
    "ERROR-LOG": _errors,
    "INFO": _info,
}


def _service_row(supervisor: Supervisor, service: Service) -> control.ServiceRow:
    now = supervisor.loop.now()
    throttle_secs = max(service.tally.throttled_until - now, 0.0)
    return control.ServiceRow(
        name=service.name,
        process_count=len(service.processes),
        process_avail=service.available(),
        process_limit=service.settings.process_limit,
        client_limit=service.settings.client_limit,
        throttle_secs=int(throttle_secs + 0.999),
        exit_failure_last=_wall(service.tally.last_failure, now),
        exit_failures_in_sec=service.tally.failures_in_sec,
        last_drop_warning=_wall(service.last_drop_warning, now),
        listen_pending=service.full_since is not None,
        listening=any(supervisor.loop.watches(fd) for fd in service.listen_fds()),
        stopped=service.stopped,
        process_total=service.process_total,
        clients=service.clients(),
    )


def _process_row(supervisor: Supervisor, service: Service, process: Process) -> control.ProcessRow:
    now = supervisor.loop.now()
    tells = process.state in (State.READY, State.BUSY)
    return control.ProcessRow(
        name=service.name,
        pid=process.pid,
        available_count=RETIRED if process.state is State.RETIRING else process.available,
        total_count=process.served,
        idle_start=_wall(process.idle_since, now),
        last_status_update=_wall(process.last_report, now),
        last_kill_sent=_wall(process.last_kill, now),
        state=process.state.value,
        clients=max(service.effective_client_limit - process.available, 0) if tells else -1,
        born=_wall(process.born, now),
    )


def _wall(monotonic: float | None, now: float) -> int:
    """UTC seconds of a monotonic moment, 0 for never."""
    return 0 if monotonic is None else int(time.time() - (now - monotonic))
