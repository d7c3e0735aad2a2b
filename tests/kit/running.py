"""A real master as a child of the test: start, talk, reload, stop, kill; with its log for every failure message.

Sockets live in a short private folder, because the path of a UNIX socket may have 107 octets only.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from kit.wait import wait_for

from master.client import ControlClient
from roost.errors import Unavailable
from roost.ipc.control import ProcessRow, ServiceRow
from roost.proc.orphan import die_with_parent

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECS = 40
TEST_ROOM = "tests.kit.rooms.echo"
ALL_ROOMS = ("imap", "lmtp", "auth", "auth-worker", "anvil", "notify")


class Running:
    """The process. ``config`` is the whole configuration file; base_dir is given by ``-o``."""

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        module: Sequence[str] = ("master",),
        arguments: Sequence[str] = ("-F",),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.config_file = folder / "roost.conf"
        self.config_file.write_text(config)
        self._short = Path(tempfile.mkdtemp(prefix="roost-"))
        self.base_dir = self._short / "run"
        self.log_file = folder / "roost.log"
        self.module, self.arguments = tuple(module), tuple(arguments)
        self.environ = dict(os.environ if environ is None else environ)
        self.process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()
        self._log_start = 0

    # -- life

    def command(self, *arguments: str) -> list[str]:
        fixed = ["-c", str(self.config_file), "-o", f"base_dir={self.base_dir}", "-o", f"log_path={self.log_file}"]
        return [sys.executable, "-I", "-m", *self.module, *fixed, *arguments]

    def launch(self, **popen: Any) -> subprocess.Popen[bytes]:
        """Start the master without waiting for anything."""
        self._log_start = len(self.log_text())
        popen.setdefault("preexec_fn", die_with_parent)  # a test run that is killed leaves no server behind
        with open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                self.command(*self.arguments), cwd=CHECKOUT, env=self.environ, stderr=stderr, **popen
            )
        return self.process

    def start(self, **popen: Any) -> Running:
        """Start, and wait until it says Ready."""
        process = self.launch(**popen)
        wait_for(lambda: self.is_ready() or process.poll() is not None, START_SECS, "the master to be ready")
        assert process.poll() is None, f"the master ended with {process.returncode}\n{self.report()}"
        self.processes()
        return self

    def is_ready(self) -> bool:
        return "master: Info: Ready" in self.log_text()[self._log_start :]

    def stop(self, deadline_secs: float = 20) -> int:
        """TERM, wait, clean up. Returns the exit code."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(deadline_secs)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the master did not stop\n{self.report()}") from None
        finally:
            for pid in self._seen:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self._short, ignore_errors=True)

    def kill_master(self) -> None:
        """kill -9, as an out-of-memory killer would."""
        assert self.process is not None
        self.processes()
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Running:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if value is not None:
            print(self.report())
        self.stop()

    # -- talking to it

    @contextmanager
    def control(self) -> Iterator[ControlClient]:
        with ControlClient(self.base_dir / "master", timeout_secs=20) as client:
            yield client

    def reload(self) -> str:
        """Returns "" or why the configuration was refused."""
        with self.control() as client:
            return client.order("RELOAD")

    def processes(self, service: str = "") -> list[ProcessRow]:
        try:
            with self.control() as client:
                rows = client.processes()
        except Unavailable:
            return []
        self._seen.update(row.pid for row in rows)
        return [row for row in rows if service in ("", row.name)]

    def pids(self, service: str = "", state: str = "") -> set[int]:
        return {row.pid for row in self.processes(service) if state in ("", row.state)}

    def service(self, name: str) -> ServiceRow:
        with self.control() as client:
            return next(row for row in client.services() if row.name == name)

    def signal(self, signum: int) -> None:
        assert self.process is not None
        self.process.send_signal(signum)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another ``roost`` command for the same configuration."""
        return subprocess.run(
            self.command(*arguments), cwd=CHECKOUT, env=self.environ, capture_output=True, text=True, timeout=60
        )

    # -- what it said

    def log_text(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def stderr_text(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def wait_log(self, text: str, deadline_secs: float = 10) -> None:
        try:
            wait_for(lambda: text in self.log_text(), deadline_secs)
        except AssertionError:
            raise AssertionError(f"the log never said {text!r}\n{self.report()}") from None

    def report(self) -> str:
        return f"--- log\n{self.log_text()}\n--- stderr\n{self.stderr_text()}"


def alive(pid: int) -> bool:
    """True while ``pid`` runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def who_we_are() -> str:
    """Settings for tests that run as root: root on purpose. An ordinary user needs none."""
    return "default_internal_user = root\ndefault_internal_group = root\n" if os.geteuid() == 0 else ""


class TestMaster(Running):
    """A master whose rooms are tests/kit/rooms: ``imap`` is the one under test, ``port`` its TCP port."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        imap: str = "",
        *,
        top: str = "",
        rooms: Mapping[str, str] | None = None,
        port: int | None = None,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = ("-F",),
    ) -> None:
        self.port = free_port() if port is None else port
        chosen = dict.fromkeys(ALL_ROOMS, TEST_ROOM) | dict(rooms or {})
        launcher = ("tests.kit.launcher", *(f"{name}={module}" for name, module in chosen.items()), "--")
        super().__init__(folder, self.text(folder, imap, top), module=launcher, environ=environ, arguments=arguments)

    def text(self, folder: Path, imap: str = "", top: str = "") -> str:
        return (
            f"{who_we_are()}protocols = imap\nlisten = 127.0.0.1\nssl = no\nstate_dir = {folder}/state\n{top}\n"
            f"service imap {{\nprocess_min_avail = 1\ninet_listener imap {{\nport = {self.port}\n}}\n{imap}\n}}\n"
        )

    def configure(self, imap: str = "", top: str = "") -> None:
        """Write another configuration; ``reload`` makes it count."""
        self.config_file.write_text(self.text(self.folder, imap, top))

    def connect(self, port: int | None = None) -> Talk:
        return Talk(socket.create_connection(("127.0.0.1", port or self.port), timeout=10))

    def ask(self, line: str) -> str:
        """One question on a connection of its own."""
        with self.connect() as talk:
            return talk.ask(line)


class Talk:
    """A connection to the echo room."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._stream = sock.makefile("rwb")

    def ask(self, line: str) -> str:
        """Send a line, return the answer; "" when the connection ended."""
        try:
            self._stream.write(line.encode() + b"\n")
            self._stream.flush()
            return self._stream.readline().decode().rstrip("\n")
        except ConnectionError:
            return ""

    def ended(self) -> bool:
        """True when the other side has closed."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.close()
        except OSError:
            pass
