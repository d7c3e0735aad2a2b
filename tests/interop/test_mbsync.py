"""mbsync (isync): a mailbox mirrored to a Maildir and back, twice, without doubles."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import count, deliver, letter

pytestmark = pytest.mark.interop

CONFIG = """\
IMAPAccount roost
Host 127.0.0.1
Port {port}
User u1
Pass pw
SSLType IMAPS
CertificateFile {certificate}
AuthMechs LOGIN

IMAPStore remote
Account roost

MaildirStore local
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def test_mbsync_mirrors_both_ways(instance: Instance, program: Callable[[str], str], tmp_path: Path) -> None:
    mbsync = program("mbsync")
    folder = tmp_path / "sync"
    (folder / "mail").mkdir(parents=True)
    config = folder / "rc"
    config.write_text(
        CONFIG.format(port=instance.imaps_port, certificate=instance.folder / "server.pem", folder=folder)
    )

    def sync() -> None:
        done = subprocess.run([mbsync, "-q", "-a", "-c", str(config)], capture_output=True, timeout=100, text=True)
        assert done.returncode == 0, done.stderr

    deliver(instance, "u1", [letter(n) for n in range(20)])
    sync()
    inbox = folder / "mail" / "INBOX"
    arrived = [*(inbox / "new").iterdir(), *(inbox / "cur").iterdir()]
    assert len(arrived) == 20
    (folder / "mail" / "Drafts" / "new").mkdir(parents=True, exist_ok=True)
    (folder / "mail" / "Drafts" / "new" / "1234.local").write_bytes(letter(99).replace(b"\r\n", b"\n"))
    arrived[0].unlink()
    sync()
    sync()
    assert len([*(inbox / "new").iterdir(), *(inbox / "cur").iterdir()]) == 19
    assert count(instance, "u1", "INBOX") == 19
    assert count(instance, "u1", "Drafts") == 1
