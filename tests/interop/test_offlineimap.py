"""OfflineIMAP: an account copied to Maildir over TLS."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import deliver, letter

pytestmark = pytest.mark.interop

CONFIG = """\
[general]
accounts = test
metadata = {folder}/state
ui = quiet
[Account test]
localrepository = local
remoterepository = remote
[Repository local]
type = Maildir
localfolders = {folder}/mail
[Repository remote]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = u1
remotepass = pw
ssl = yes
cert_fingerprint = {fingerprint}
auth_mechanisms = PLAIN, LOGIN
"""


def test_offlineimap_copies_an_account(instance: Instance, program: Callable[[str], str], tmp_path: Path) -> None:
    offlineimap = program("offlineimap")
    folder = tmp_path / "offline"
    folder.mkdir()
    # By fingerprint: its check of names reads only the commonName, which a modern certificate does not have.
    certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", instance.imaps_port)))
    fingerprint = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    config = folder / "rc"
    config.write_text(CONFIG.format(port=instance.imaps_port, fingerprint=fingerprint, folder=folder))
    deliver(instance, "u1", [letter(n) for n in range(5)])
    done = subprocess.run(
        [offlineimap, "-o", "-c", str(config)],
        capture_output=True,
        timeout=100,
        text=True,
        env={**os.environ, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    inbox = folder / "mail" / "INBOX"
    assert len([*(inbox / "new").iterdir(), *(inbox / "cur").iterdir()]) == 5
    assert (folder / "mail" / "Drafts").is_dir()
