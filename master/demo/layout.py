"""The files of a private instance: configuration, users, messages."""

from __future__ import annotations

import base64
import getpass
import grp
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "wonderland"
USERS = ("alice", "bob")

CONFIG = """\
# A private Roost, written by `make run`. Edit it as you like: it is only written when it does not exist.
# `doveconf -n -c {file}` shows what it means.

base_dir = {root}/run
state_dir = {root}/lib
log_path = /dev/stderr
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}

ssl = yes
ssl_server_cert_file = {root}/etc/localhost.pem
ssl_server_key_file = {root}/etc/localhost.key

mail_driver = sqlite
mail_home = {root}/mail/%{{user}}

passdb passwd-file {{
  passwd_file_path = {root}/etc/users
}}
userdb static {{
}}

service imap {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}

service lmtp {{
  unix_listener lmtp {{
    mode = 0600
  }}
}}
"""

MESSAGES: tuple[tuple[str, str, str], ...] = (
    (
        "Welcome to Roost",
        "text/plain; charset=utf-8",
        "Hello!\n\nThis mailbox was delivered through LMTP and is kept in one SQLite file:\n"
        "    sqlite3 var/mail/alice/store.db .tables\n\n"
        "Kill any process of this server with kill -9: nothing you see here will be lost.\n",
    ),
    (
        "A letter with two faces",
        'multipart/alternative; boundary="wing"',
        "--wing\nContent-Type: text/plain; charset=utf-8\n\nPlain feathers.\n"
        "--wing\nContent-Type: text/html; charset=utf-8\n\n<p>Coloured <b>feathers</b>.</p>\n--wing--\n",
    ),
    (
        "=?utf-8?q?Caf=C3=A9_at_four=3F?=",
        "text/plain; charset=utf-8",
        "Bring the others.\n",
    ),
)


@dataclass(frozen=True)
class Instance:
    """Where everything of one private instance is."""

    root: Path
    imap_port: int
    imaps_port: int

    @property
    def config_file(self) -> Path:
        return self.root / "etc" / "roost.conf"

    @property
    def lmtp_socket(self) -> Path:
        return self.root / "run" / "lmtp"

    @property
    def auth_socket(self) -> Path:
        return self.root / "run" / "auth-client"

    @property
    def seeded_mark(self) -> Path:
        return self.root / "lib" / "seeded"

    def write(self) -> None:
        """Make the folders and whatever file is missing; what is there stays as it is."""
        # Imported here: the certificate is the only thing that needs the demo extra.
        from master.demo import certificate

        for folder in ("etc", "run", "lib", "mail"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        if not self.config_file.exists():
            self.config_file.write_text(
                CONFIG.format(
                    root=self.root,
                    file=self.config_file,
                    user=getpass.getuser(),
                    group=grp.getgrgid(os.getegid()).gr_name,
                    imap_port=self.imap_port,
                    imaps_port=self.imaps_port,
                )
            )
        users = self.root / "etc" / "users"
        if not users.exists():
            users.write_text("".join(f"{name}:{_hashed(PASSWORD)}\n" for name in USERS))
            users.chmod(0o600)
        cert_file, key_file = self.root / "etc" / "localhost.pem", self.root / "etc" / "localhost.key"
        if not certificate.usable(cert_file) or not key_file.exists():
            certificate.make(cert_file, key_file)


def message(number: int, recipient: str) -> bytes:
    """The demo message ``number`` (index into MESSAGES) as octets with CRLF."""
    subject, content_type, body = MESSAGES[number]
    text = (
        f"From: The Roost <keeper@localhost>\nTo: {recipient}@localhost\nSubject: {subject}\n"
        f"Date: Sat, 21 Nov 2026 1{number}:00:00 +0000\nMessage-ID: <demo-{number}-{recipient}@localhost>\n"
        f"MIME-Version: 1.0\nContent-Type: {content_type}\nContent-Transfer-Encoding: 8bit\n\n{body}"
    )
    return text.replace("\n", "\r\n").encode()


def _hashed(password: str) -> str:
    salt = os.urandom(8)
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()
