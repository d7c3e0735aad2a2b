"""A private Postfix: its own configuration, queue and data folders, SMTP on an ephemeral port of 127.0.0.1.

Needs root (Postfix's master insists) and Debian's ``postfix`` package; the system's own Postfix is not touched: not
its configuration, not its queue, not its processes. Mail for ``example.org`` goes to an LMTP socket inside the queue
folder. The instance's folder stands directly under the system's temporary folder: Postfix's unprivileged processes must
be able to walk into it, and pytest's own are closed to them. It is removed at the end.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import smtplib
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from kit.running import alive, free_port
from kit.wait import wait_for

DAEMONS = Path("/usr/lib/postfix/sbin")
SOCKET_NAME = "lmtp"

MAIN = """\
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mx.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_transport = lmtp:unix:{socket}
default_transport = error:nothing leaves this machine
relay_transport = error:nothing leaves this machine
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
disable_dns_lookups = yes
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
lmtp_destination_concurrency_failed_cohort_limit = 1000
{more}
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why Postfix cannot be run here; "" when it can."""
    if os.geteuid() != 0:
        return "Postfix's master must be started by root"
    if not (DAEMONS / "master").exists():
        return "postfix is not installed (Debian package postfix)"
    return ""


class Postfix:
    """``with Postfix() as postfix: postfix.send(…)``; ``socket`` is where it expects the LMTP server."""

    def __init__(self, more: str = "") -> None:
        """``more``: further lines for main.cf, in place of those above that set the same."""
        folder = self.folder = Path(tempfile.mkdtemp(prefix="roost-postfix-"))
        folder.chmod(0o755)
        self.port = free_port()
        for name in ("etc", "queue", "data"):
            (folder / name).mkdir()
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        main = MAIN.format(folder=folder, daemons=DAEMONS, socket=SOCKET_NAME, more=more)
        (folder / "etc/main.cf").write_text(_last_of_each(main))
        (folder / "etc/master.cf").write_text(MASTER.format(port=self.port))
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "queue" / SOCKET_NAME

    def __enter__(self) -> Postfix:
        with open(self.folder / "start.log", "wb") as log:
            self._shell = subprocess.Popen(
                ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
        try:
            wait_for(self._is_up, 30, "Postfix to listen")
        except AssertionError:
            report = self.report()
            self._stop()
            raise AssertionError(f"Postfix did not start\n{report}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if value is not None:
            print(self.report())
        self._stop()

    def _is_up(self) -> bool:
        assert self._shell is not None
        if self._shell.poll() is not None:
            raise AssertionError("postfix start-fg ended")
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5):
                return True
        except OSError:
            return False

    def _stop(self) -> None:
        """TERM to the master whose pid stands in our own queue folder; it ends its children."""
        pid_file = self.folder / "queue/pid/master.pid"
        pid = int(pid_file.read_text()) if pid_file.exists() else 0
        if pid and alive(pid):
            os.kill(pid, signal.SIGTERM)
            try:
                wait_for(lambda: not alive(pid), 15, "Postfix to end")
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
        if self._shell is not None:
            try:
                self._shell.wait(10)
            except subprocess.TimeoutExpired:
                self._shell.kill()
                self._shell.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def flush(self) -> None:
        """Try everything deferred again now."""
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.folder / "etc"), "-f"], timeout=30, check=False)

    def queued(self) -> int:
        """Messages that are still in the queue."""
        folders = ("incoming", "active", "deferred", "maildrop")
        return sum(1 for name in folders for path in (self.folder / "queue" / name).rglob("*") if path.is_file())

    def log_text(self) -> str:
        path = self.folder / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def report(self) -> str:
        start = (self.folder / "start.log").read_text(errors="replace")
        return f"--- postfix start\n{start}\n--- postfix log\n{self.log_text()[-20_000:]}"


def _last_of_each(main: str) -> str:
    """Postfix warns of settings given twice."""
    rows = {line.partition("=")[0].strip(): line for line in main.splitlines() if line.strip()}
    return "\n".join(rows.values()) + "\n"
