"""The auth room as a process of its own, and raw lines to its sockets."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from kit.wait import wait_for

DEADLINE_SECS = 20.0
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_internal_failure_delay = 0
passdb users {{
  driver = passwd-file
  passwd_file_path = {folder}/users
}}
userdb users {{
  driver = passwd-file
  passwd_file_path = {folder}/users
  fields {{
    home = {folder}/mail/%{{user}}
  }}
}}
service auth {{
  unix_listener auth-legacy {{
    type = auth-legacy
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{extra}
"""
USERS = "".join(f"u{number}:{{PLAIN}}pw:{1000 + number}:100::::\n" for number in range(1, 10))


class AuthRoomProcess:
    """``python -I -m services.auth`` in a private folder. A context manager; ``stop`` checks that it ended well."""

    def __init__(self, folder: Path, extra: str = "", *, users: str = USERS) -> None:
        self.folder = folder
        self.sockets = folder / "run"
        self.log_path = folder / "auth.log"
        self.configuration = folder / "roost.conf"
        (folder / "users").write_text(users)
        self.configuration.write_text(CONFIGURATION.format(folder=folder, extra=extra))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> AuthRoomProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.process is not None:
            self.stop()

    def path(self, name: str) -> str:
        return str(self.sockets / name)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "services.auth", "-c", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(self._answers, DEADLINE_SECS, "the auth room answers")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the auth room ended: {self.log()}"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            try:
                sock.connect(self.path("auth-userdb"))
                return sock.recv(100).startswith(b"VERSION")
            except OSError:
                return False

    def stop(self, signum: int = signal.SIGTERM) -> None:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(signum)
        code = process.wait(DEADLINE_SECS)
        assert code == 0, f"exit code {code}: {self.log()}"

    def kill(self) -> None:
        """As after a crash: no good-bye, sockets left behind."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_SECS)
        self.process = None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def resident_kib(self) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0])

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def lines(self, name: str) -> Lines:
        """A raw connection."""
        return Lines(self.path(name))

    def client(self, name: str = "auth-client", *, minor: int = 4, cpid: int = 4711) -> Lines:
        """A raw connection after its handshake."""
        lines = self.lines(name)
        lines.send(f"VERSION\t1\t{minor}\nCPID\t{cpid}\n")
        while lines.next() != "DONE":
            pass
        return lines

    def master(self, name: str = "auth-master") -> Lines:
        lines = self.lines(name)
        lines.send("VERSION\t1\t4\n")
        assert lines.next() == "VERSION\t1\t4"
        assert lines.next().startswith("SPID\t")
        return lines


class Lines:
    """A line-wise UNIX connection with a deadline."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_SECS)
        self.sock.connect(path)
        self._rest = b""

    def send(self, text: str | bytes) -> None:
        self.sock.sendall(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)

    def next(self) -> str:
        """The next line without its LF; "" at the end of the stream."""
        while b"\n" not in self._rest:
            try:
                chunk = self.sock.recv(65536)
            except ConnectionResetError:
                return ""
            if not chunk:
                return ""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "surrogateescape")

    def ask(self, text: str | bytes) -> str:
        self.send(text)
        return self.next()

    def closed(self) -> bool:
        """Whether the peer ends the connection (whatever it still says before)."""
        while True:
            if self.next() == "":
                return True

    def close(self) -> None:
        self.sock.close()


def plain(user: str, password: str, authzid: str = "") -> str:
    """The base64 of a PLAIN message."""
    return b64(f"{authzid}\0{user}\0{password}")


def b64(text: str | bytes) -> str:
    octets = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return base64.b64encode(octets).decode()
