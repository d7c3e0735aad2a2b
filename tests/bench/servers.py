"""The servers under measurement, each started in a private folder on loopback ports of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tests.bench.meter import Meter, enter, members, new_cgroup, tree

USERS = 300
DOVECOT = "/usr/sbin/dovecot"


class Server:
    """A started server: ``imap_port``, ``lmtp_port``, ``meter``. A subclass gives the configuration and command."""

    name = ""
    domain = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.imap_port, self.lmtp_port = _free_port(), _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise AssertionError

    def start(self) -> None:
        command = self.command()
        cgroup = self.cgroup = new_cgroup(self.name)
        log = open(self.folder / "stdout", "wb")  # noqa: SIM115 - lives as long as the server
        self.process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            preexec_fn=None if cgroup is None else partial(enter, cgroup),
        )
        self.meter = Meter(self.process.pid, cgroup)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if self.answers():
                    return
            time.sleep(0.05)
        self.stop()
        raise SystemExit(f"{self.name} did not start:\n{(self.folder / 'stdout').read_text()[-2000:]}")

    def answers(self) -> bool:
        """Whether it is there. Raises OSError."""
        with socket.create_connection(("127.0.0.1", self.imap_port), 5) as probe:
            return probe.recv(100).startswith(b"* ")

    def stop(self) -> None:
        assert self.process is not None
        pids = tree(self.process.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if self.cgroup is not None:
            deadline = time.monotonic() + 10
            while members(self.cgroup) and time.monotonic() < deadline:  # those killed are not all gone yet
                time.sleep(0.05)
            with contextlib.suppress(OSError):
                self.cgroup.rmdir()


class Roost(Server):
    """The checkout this file belongs to."""

    name = "roost"

    def command(self) -> list[str]:
        owner = pwd.getpwuid(os.getuid()).pw_name
        users = self.folder / "users"
        users.write_text("".join(f"u{i}:{{PLAIN}}pw\n" for i in range(1, USERS + 1)))
        conf = self.folder / "roost.conf"
        conf.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
default_internal_user = {owner}
default_internal_group = {owner}
mail_home = {self.folder}/mail/%{{user}}
mail_max_userip_connections = 1000
passdb passwd-file {{
  passwd_file_path = {users}
}}
userdb static {{
}}
service imap {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.lmtp_port}
  }}
}}
""")
        return [sys.executable, "-I", "-m", "master", "-F", "-c", str(conf)]


class Dovecot(Server):
    """Debian's Dovecot 2.3 with processes that are reused and single-file dbox storage, its fastest usual shape."""

    name = "dovecot"
    domain = "@bench.example"

    def command(self) -> list[str]:
        owner = pwd.getpwnam("nobody")
        mail = self.folder / "mail"
        mail.mkdir()
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        for folder in (self.folder, *self.folder.parents[:3]):
            with contextlib.suppress(OSError):
                folder.chmod(folder.stat().st_mode | 0o755)
        (self.folder / "users").write_text(
            "".join(f"u{i}:{{PLAIN}}pw:{owner.pw_uid}:{owner.pw_gid}::{mail}/u{i}::\n" for i in range(1, USERS + 1))
        )
        conf = self.folder / "dovecot.conf"
        conf.write_text(f"""
instance_name = roost-bench
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_username_format = %Ln
first_valid_uid = 1
mail_location = sdbox:~/sdbox
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {self.folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {self.folder}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 1000
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  service_count = 100000
  process_min_avail = 2
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
}}
""")
        return [DOVECOT, "-F", "-c", str(conf)]


def available() -> list[type[Server]]:
    """Roost, and Dovecot where it is installed and we are root (its master insists)."""
    return [Roost, Dovecot] if os.path.exists(DOVECOT) and os.geteuid() == 0 else [Roost]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
