"""Debian's Dovecot as the reference: ``doveadm exec imap`` speaks IMAP, logged in, on stdin and stdout; no daemon."""

from __future__ import annotations

import grp
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
ssl = no
mail_location = sdbox:{folder}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
default_internal_user = {name}
default_internal_group = {group}
default_login_user = {name}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Archive {{
    special_use = \\Archive
    auto = subscribe
  }}
}}
"""


def available() -> bool:
    """Dovecot and its doveadm are installed."""
    return shutil.which("doveadm") is not None and Path("/usr/lib/dovecot/imap").exists()


class ProcessChannel:
    """One imap process. ``kit.imap_player.Channel``."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, bufsize=0
        )

    def send(self, octets: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(octets)

    def receive(self, secs: float) -> bytes | None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + secs
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            if ready:
                return os.read(self.process.stdout.fileno(), 65536) or None
        return b""

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(5)
        self.process.stdout.close()


class DovecotImap:
    """A private Dovecot whose every connection is user ``u1``. ``kit.imap_player.Server``."""

    preauth = True
    user = "u1"
    password = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reference."))
        root = os.getuid() == 0
        who = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
        for name in ("run", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, who.pw_uid, who.pw_gid)
        self.folder.chmod(0o755)
        self.config = self.folder / "dovecot.conf"
        group = grp.getgrgid(who.pw_gid).gr_name
        self.config.write_text(
            CONFIGURATION.format(folder=self.folder, uid=who.pw_uid, gid=who.pw_gid, name=who.pw_name, group=group)
        )
        self.prefix = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"] if root else []

    def connect(self) -> ProcessChannel:
        home = str(self.folder / "mail" / self.user)
        env = {"USER": self.user, "HOME": home, "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
        return ProcessChannel([*self.prefix, "doveadm", "-c", str(self.config), "exec", "imap"], env)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
