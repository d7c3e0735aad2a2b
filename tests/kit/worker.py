"""Rooms under the real worker frame, without a master: in this process's loop, or as a forked child with its pipes."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import select
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from kit.wait import until as until  # tests of the frame have all they need from here

import roost.worker.run as frame
from roost.events.log import SINK, Log, Sink
from roost.proc.contract import FD_DEAD_MASTER, FD_FIRST_LISTENER, FD_LOG, FD_STATUS, STATUS, ChildContext
from roost.proc.privileges import Privileges
from roost.settings.schema.services import ServiceSettings
from roost.worker.listeners import Listeners
from roost.worker.loop import new_loop
from roost.worker.openings import Opening
from roost.worker.service import Room, Worker

T = TypeVar("T")
LOOPS = ("uvloop", "asyncio")
DEADLINE_SECS = 15.0


class Config:
    """Sections with their defaults, except what is given: ``Config(ssl="no")`` sets it wherever it exists."""

    def __init__(self, **values: object) -> None:
        self.values = values

    def section(self, schema: type[T], **_facts: object) -> T:
        names = getattr(schema, "__dataclass_fields__", {})
        return schema(**{name: value for name, value in self.values.items() if name in names})


def settings(name: str = "toy", **values: Any) -> ServiceSettings:
    return replace(ServiceSettings(), name=name, **values)


def run(kind: str, main: Callable[[], Awaitable[T]]) -> T:
    """Run a test's coroutine on a fresh loop of that kind, not longer than DEADLINE_SECS."""
    loop = new_loop(kind)
    try:
        return loop.run_until_complete(asyncio.wait_for(main(), DEADLINE_SECS))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)


class Lines:
    """A log destination that keeps the lines."""

    def __init__(self, *, debug: bool = True) -> None:
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(write_fd, False)
        self.sink = Sink(write_fd, debug=debug)
        self._seen = b""

    def log(self, prefix: str = "test: ") -> Log:
        return Log(prefix, self.sink)

    @property
    def text(self) -> str:
        try:
            while chunk := os.read(self._read_fd, 65536):
                self._seen += chunk
        except BlockingIOError:
            pass
        return self._seen.decode("utf-8", "replace")


def make_worker(log: Log | None = None, config: Any = None, **values: Any) -> Worker:
    """A Worker around the running loop."""
    loop = asyncio.get_running_loop()
    return Worker(config or Config(), settings(**values), loop, log or Lines().log())


@asynccontextmanager
async def served(
    worker: Worker, room: Room, *socks: socket.socket, openings: Mapping[int, Opening] | None = None
) -> AsyncIterator[Listeners]:
    """The room accepts on ``socks`` (``openings`` by position) until the block ends."""
    infos = [frame.listener_info(sock, f"door{index}") for index, sock in enumerate(socks)]
    found = {infos[index]: opening for index, opening in (openings or {}).items()}
    listeners = Listeners(worker, room, infos, found, lambda: None)
    await listeners.start()
    try:
        yield listeners
    finally:
        listeners.close()
        listeners.abort_all()
        await room.drain(politely=True)
        await worker.aclose()
        for sock in socks:
            sock.close()


def tcp_socket() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


def unix_socket(path: object) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(64)
    return sock


class Child:
    """A forked worker with the master's ends of its pipes."""

    def __init__(
        self,
        module: str,
        service: ServiceSettings,
        listeners: Sequence[tuple[socket.socket, Mapping[str, Any]]],
        config: Any = None,
        generation: int = 7,
        loop_kind: str = "uvloop",
        privileges: Privileges | None = None,
        titles: bool = False,
    ) -> None:
        status_read, status_write = os.pipe()
        dead_read, self.dead_write = os.pipe()
        log_read, log_write = os.pipe()
        self.status_fd, self.log_fd = status_read, log_read
        self.generation = generation
        self._log = b""
        self._records = b""
        self._ended = False
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                os.environ["ROOST_LOOP"] = loop_kind
                plan = {FD_STATUS: status_write, FD_DEAD_MASTER: dead_read, FD_LOG: log_write}
                infos = []
                for index, (sock, values) in enumerate(listeners):
                    number = FD_FIRST_LISTENER + index
                    plan[number] = sock.fileno()
                    info = frame.listener_info(sock, values.get("name", f"door{index}"))
                    infos.append(replace(info, fd=number, **values))
                gc.collect()  # garbage that owns files closes them now, not after their numbers are taken again
                _arrange(plan)
                for signum in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGALRM):
                    signal.signal(signum, signal.SIG_DFL)
                SINK.fd = FD_LOG
                privileges = privileges or Privileges(die_with_master=False)
                config = config or Config(ssl="no")
                child = ChildContext(service, config, tuple(infos), generation, titles, module, "roost", privileges)
                code = frame.main(child)
            finally:
                os._exit(code)
        for fd in (status_write, dead_read, log_write):
            os.close(fd)
        for fd in (status_read, log_read):
            os.set_blocking(fd, False)

    def records(self) -> list[tuple[int, int, int]]:
        """Every status record so far."""
        try:
            while chunk := os.read(self.status_fd, 4096):
                self._records += chunk
        except BlockingIOError:
            pass
        return [STATUS.unpack_from(self._records, at) for at in range(0, len(self._records), STATUS.size)]

    def log_text(self) -> str:
        try:
            while chunk := os.read(self.log_fd, 65536):
                self._log += chunk
        except BlockingIOError:
            pass
        return self._log.decode("utf-8", "replace")

    def kill(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def master_dies(self) -> None:
        os.close(self.dead_write)
        self.dead_write = -1

    def wait(self, deadline_secs: float = 12.0) -> int:
        """The exit code; a signal as a negative number."""
        pidfd = os.pidfd_open(self.pid)
        try:
            ready, _, _ = select.select([pidfd], [], [], deadline_secs)
            assert ready, f"pid {self.pid} did not end in {deadline_secs} secs; log: {self.log_text()}"
        finally:
            os.close(pidfd)
        _pid, status = os.waitpid(self.pid, 0)
        self._ended = True
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for fd in (self.status_fd, self.log_fd, self.dead_write):
            if fd >= 0:
                os.close(fd)


def _arrange(plan: Mapping[int, int]) -> None:
    """Each file at its number and no other open above 2, however many this process has: else the child would hold
    the master's end of its own pipe, and never see the master die."""
    moved = {target: fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for target, fd in plan.items()}
    before = 3
    for fd in sorted(moved.values()):
        os.closerange(before, fd)
        before = fd + 1
    os.closerange(before, 1 << 20)
    for target, fd in moved.items():
        os.dup2(fd, target)
    os.closerange(100, before)


class Client:
    """A blocking client with a deadline on every read."""

    def __init__(self, sock: socket.socket, timeout_secs: float = 10.0) -> None:
        self.sock = sock
        sock.settimeout(timeout_secs)
        self._rest = b""

    @classmethod
    def to(cls, listener: socket.socket) -> Client:
        sock = socket.socket(listener.family)
        sock.settimeout(10.0)
        sock.connect(listener.getsockname())
        return cls(sock)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        while b"\n" not in self._rest:
            chunk = self.sock.recv(65536)
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def rest(self) -> bytes:
        """Everything up to the end of the stream; a reset counts as the end."""
        deadline = time.monotonic() + 10
        try:
            while (chunk := self.sock.recv(65536)) and time.monotonic() < deadline:
                self._rest += chunk
        except ConnectionError:
            pass
        data, self._rest = self._rest, b""
        return data

    def close(self) -> None:
        self.sock.close()
