"""``python -I -m services.imap --preauth USER``: the room on stdin and stdout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run(folder: Path, said: bytes, *arguments: str, driver: str = "sqlite") -> subprocess.CompletedProcess[bytes]:
    settings = [f"mail_home={folder}/%{{user}}", f"mail_driver={driver}", f"base_dir={folder}/run"]
    options = [word for setting in settings for word in ("-o", setting)]
    argv = [sys.executable, "-I", "-m", "services.imap", *options, *arguments]
    return subprocess.run(argv, input=said, capture_output=True, timeout=60, cwd=CHECKOUT)


def test_a_conversation_and_what_it_leaves(tmp_path: Path) -> None:
    first = run(tmp_path, b"A APPEND INBOX {5+}\r\nhello\r\nB SELECT INBOX\r\nC LOGOUT\r\n", "--preauth", "u1")
    assert first.returncode == 0
    assert first.stdout.startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 ")
    assert b"A OK [APPENDUID " in first.stdout and b"* 1 EXISTS\r\n" in first.stdout
    assert first.stdout.endswith(b"C OK Logout completed.\r\n")
    again = run(tmp_path, b"A STATUS INBOX (MESSAGES)\r\n", "--preauth", "u1")
    assert b"* STATUS INBOX (MESSAGES 1)\r\n" in again.stdout
    other = run(tmp_path, b"A STATUS INBOX (MESSAGES)\r\n", "--preauth", "u2")
    assert b"* STATUS INBOX (MESSAGES 0)\r\n" in other.stdout


def test_the_end_of_input_is_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, b"", "--preauth", "u1", driver="memory")
    assert done.returncode == 0 and done.stdout.count(b"\r\n") == 1


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".hidden"])
def test_hostile_names_stay_inside(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "mail"
    inside.mkdir()
    done = run(inside, b"A CREATE x\r\nB LOGOUT\r\n", "--preauth", name)
    assert b"A OK" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]


def test_a_wrong_configuration_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, b"", "--preauth", "u1", driver="nosuch")
    assert done.returncode == 78 and b"nosuch" in done.stderr and not done.stdout
