"""A private Exim that only authenticates: its own configuration and spool, SMTP on an ephemeral port of 127.0.0.1.

``.ci/exim`` fetches the daemon into ``.ci/cache/exim`` (as a Debian package it and Postfix exclude each other). Its
user ``Debian-exim`` is built in, and nobody has it where the package is not installed: the daemon runs in a mount
namespace of its own, whose ``/etc/passwd`` calls the system's user ``mail`` so too. The system's own files stay as
they are.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import smtplib
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType

from kit.running import CHECKOUT, free_port
from kit.wait import wait_for

FETCHED = CHECKOUT / ".ci/cache/exim"
BINARY = FETCHED / "usr/sbin/exim4"
LIBRARIES = ":".join(map(str, [*sorted((FETCHED / "usr/lib").glob("*-linux-gnu")), FETCHED / "usr/lib"]))
USER = "mail"  # who is Debian-exim in there

CONFIG = """\
keep_environment = ^LD_LIBRARY_PATH$
exim_path = {binary}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
primary_hostname = mx.example.org
acl_smtp_rcpt = acl_rcpt
host_lookup =
rfc1413_hosts =
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 512
smtp_enforce_sync = false
auth_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {folder}/tls.pem
{more}
begin acl
acl_rcpt:
  accept authenticated = *
         message = hello $authenticated_id
  deny message = not without authentication

begin authenticators
{authenticators}
"""

# Mounts that only the daemon sees; then the daemon instead of the shell.
START = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"'


@cache
def missing() -> str:
    """Why Exim cannot be run here; "" when it can."""
    if os.geteuid() != 0:
        return "Exim's daemon is started by root here"
    if not BINARY.exists():
        return "exim4-daemon-heavy is not there (.ci/exim fetches it)"
    command = ["unshare", "-m", "sh", "-c", 'LD_LIBRARY_PATH="$1" ldd "$2"', "sh", LIBRARIES, str(BINARY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        return f"no mount namespace, or no such program: {done.stderr.strip()}"
    absent = [line.split()[0] for line in done.stdout.splitlines() if "not found" in line]
    return f"libraries of exim4-daemon-heavy are missing: {' '.join(absent)}" if absent else ""


class Exim:
    """``with Exim(authenticators, tls_pem) as exim: smtplib.SMTP("127.0.0.1", exim.port)``."""

    def __init__(self, authenticators: str, tls_pem: bytes, more: str = "") -> None:
        """``authenticators``: their section of the configuration. ``tls_pem``: key and certificates."""
        folder = self.folder = Path(tempfile.mkdtemp(prefix="roost-exim-"))
        folder.chmod(0o755)
        self.port = free_port()
        user = pwd.getpwnam(USER)
        for name in ("spool", "log"):
            (folder / name).mkdir()
            os.chown(folder / name, user.pw_uid, user.pw_gid)
        (folder / "tls.pem").write_bytes(tls_pem)
        os.chown(folder / "tls.pem", user.pw_uid, user.pw_gid)
        (folder / "tls.pem").chmod(0o600)
        line = f"Debian-exim:x:{user.pw_uid}:{user.pw_gid}::/var/spool/exim4:/usr/sbin/nologin\n"
        (folder / "passwd").write_text(Path("/etc/passwd").read_text() + line)
        (folder / "group").write_text(Path("/etc/group").read_text() + f"Debian-exim:x:{user.pw_gid}:\n")
        text = CONFIG.format(folder=folder, binary=BINARY, authenticators=authenticators, more=more)
        (folder / "exim.conf").write_text(text)
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Exim:
        exim = [str(BINARY), "-C", str(self.folder / "exim.conf"), "-bdf", "-oX", f"127.0.0.1:{self.port}"]
        files = [str(self.folder / name) for name in ("passwd", "group")]
        with open(self.folder / "start.log", "wb") as log:
            self._daemon = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", START, "sh", *files, *exim],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": LIBRARIES},
            )
        try:
            wait_for(self._is_up, 30, "Exim to listen")
        except AssertionError:
            report = self.report()
            self._stop()
            raise AssertionError(f"Exim did not start\n{report}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if value is not None:
            print(self.report())
        self._stop()

    def _is_up(self) -> bool:
        assert self._daemon is not None
        if self._daemon.poll() is not None:
            raise AssertionError("exim ended")
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5):
                return True
        except OSError:
            return False

    def _stop(self) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(15)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*log")))

    def report(self) -> str:
        start = (self.folder / "start.log").read_text(errors="replace")
        return f"--- exim start\n{start}\n--- exim log\n{self.log_text()[-20_000:]}"
