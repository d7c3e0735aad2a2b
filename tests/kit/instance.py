"""A whole private Roost: the real master and the real rooms, on ports and in folders of its own.

``with Instance(tmp_path) as roost:`` has users u1 … u9 with the password ``pw``, IMAP on ``imap_port`` (STARTTLS) and
``imaps_port``, LMTP on ``lmtp_socket``, the auth protocol on ``auth_socket``; ``ca_file`` is what clients must trust.
``conf`` is put at the end of the configuration, so it overrides. Failed logins have no penalties, for they all
come from one address.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import trustme
from kit.running import Running, free_ports, who_we_are

USERS = tuple(f"u{number}" for number in range(1, 10))
PASSWORD = "pw"
START_ATTEMPTS = 5

CONFIG = """\
{who}listen = 127.0.0.1
state_dir = {folder}/state
ssl = yes
ssl_server_cert_file = {folder}/server.pem
ssl_server_key_file = {folder}/server.key
mail_driver = sqlite
mail_home = {folder}/mail/%{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/passwd
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
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{conf}
"""


class Instance(Running):
    """The real thing. ``users`` are names, or names with their password field (``{SCHEME}hash``)."""

    def __init__(
        self,
        folder: Path,
        conf: str = "",
        users: Iterable[str] | Mapping[str, str] = USERS,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, "", environ=environ)
        self.conf = conf
        self.ca_file = folder / "ca.pem"
        passwords = users if isinstance(users, Mapping) else dict.fromkeys(users, "{PLAIN}" + PASSWORD)
        self.users = tuple(passwords)
        _write_private(folder / "passwd", "".join(f"{name}:{field}::::::\n" for name, field in passwords.items()))
        authority, pem, key = _certificate()
        self.ca_file.write_bytes(authority)
        (folder / "server.pem").write_bytes(pem)
        _write_private(folder / "server.key", key.decode())
        (folder / "mail").mkdir(exist_ok=True)
        self._choose_ports()

    def _choose_ports(self) -> None:
        self.imap_port, self.imaps_port = free_ports(2)
        self.configure(self.conf)

    def configure(self, conf: str) -> None:
        """Write another configuration; ``reload`` makes it count."""
        self.conf = conf
        text = CONFIG.format(
            who=who_we_are(),
            folder=self.folder,
            imap_port=self.imap_port,
            imaps_port=self.imaps_port,
            conf=conf,
        )
        self.config_file.write_text(text)

    def start(self, **popen: object) -> Instance:
        """Start and wait until every service is ready. Somebody may have taken a port meanwhile: then others."""
        for _ in range(START_ATTEMPTS):
            try:
                super().start(**popen)
                return self
            except AssertionError:
                if "already in use" not in self.stderr_text():
                    raise
                self._choose_ports()
        raise AssertionError(f"no free port\n{self.report()}")

    def __enter__(self) -> Instance:
        super().__enter__()
        return self

    @property
    def lmtp_socket(self) -> Path:
        return self.base_dir / "lmtp"

    @property
    def auth_socket(self) -> Path:
        return self.base_dir / "auth-client"

    def home(self, user: str) -> Path:
        """Where the mail of a user is."""
        return self.folder / "mail" / user


@cache
def _certificate() -> tuple[bytes, bytes, bytes]:
    """(authority, certificate chain, key) for localhost; made once a test run."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
    return authority.cert_pem.bytes(), chain, server.private_key_pem.bytes()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    os.chmod(path, 0o600)
    path.write_text(text)
