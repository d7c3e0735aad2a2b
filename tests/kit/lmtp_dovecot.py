"""Debian's Dovecot as the reference for LMTP: a private instance with our users, its socket in a folder of its own."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from kit.wait import wait_for

CONFIGURATION = """
instance_name = roost-reference
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = lmtp
ssl = no
auth_username_format = %Ln
first_valid_uid = 1
recipient_delimiter = +
mail_location = sdbox:~/sdbox
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {folder}/users
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0600
  }}
}}
"""


def missing() -> str:
    """Why the reference cannot run; "" when it can."""
    if shutil.which("dovecot", path="/usr/sbin") is None or not Path("/usr/lib/dovecot/lmtp").exists():
        return "Dovecot is not installed (Debian package dovecot-lmtpd)"
    if os.geteuid() != 0:
        return "Dovecot's mail processes must change their user: needs root"
    return ""


class DovecotLmtp:
    """``with DovecotLmtp() as reference: connect to reference.socket``. Users u1 … u9."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="roost-ref-"))
        self.folder.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        mail = self.folder / "mail"
        mail.mkdir()
        os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        rows = (f"u{n}:pw:{nobody.pw_uid}:{nobody.pw_gid}::{mail}/u{n}::\n" for n in range(1, 10))
        (self.folder / "users").write_text("".join(rows))
        group = grp.getgrgid(nobody.pw_gid).gr_name
        text = CONFIGURATION.format(folder=self.folder, user="nobody", group=group)
        (self.folder / "dovecot.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run/lmtp"

    def __enter__(self) -> DovecotLmtp:
        self._process = subprocess.Popen(
            ["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], stdin=subprocess.DEVNULL
        )
        process = self._process
        wait_for(lambda: self.socket.exists() or process.poll() is not None, 20, "Dovecot's LMTP socket")
        assert process.poll() is None, self.log_text()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if value is not None:
            print(self.log_text())
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""
