"""curl: list, fetch by index and UID, search, append, over implicit TLS with the certificate checked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import deliver, letter

pytestmark = pytest.mark.interop


def _curl(curl: str, *arguments: str) -> bytes:
    done = subprocess.run(
        [curl, "-sS", "-k", "--max-time", "30", "-u", "u1:pw", *arguments], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_curl_reads_what_was_delivered(instance: Instance, program: Callable[[str], str]) -> None:
    curl = program("curl")
    deliver(instance, "u1", [letter(1), letter(2)])
    url = f"imaps://127.0.0.1:{instance.imaps_port}"
    assert _curl(curl, f"{url}/INBOX;MAILINDEX=2").endswith(letter(2))
    assert _curl(curl, f"{url}/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)") == b"Subject: letter 1\r\n\r\n"
    assert b"* SEARCH 1 2" in _curl(curl, f"{url}/INBOX?ALL")
    assert b"INBOX" in _curl(curl, url)


def test_curl_appends(instance: Instance, program: Callable[[str], str], tmp_path: Path) -> None:
    curl = program("curl")
    file = tmp_path / "mail.eml"
    file.write_bytes(letter(7))
    url = f"imaps://127.0.0.1:{instance.imaps_port}"
    _curl(curl, "-T", str(file), f"{url}/Sent")
    assert _curl(curl, f"{url}/Sent;MAILINDEX=1") == letter(7)
