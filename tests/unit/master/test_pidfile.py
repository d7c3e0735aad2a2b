"""One master per base_dir: the lock decides, the number is for people."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from master.pidfile import AlreadyRunning, PidFile, running_pid


def test_a_held_file(tmp_path: Path) -> None:
    path = tmp_path / "master.pid"
    assert running_pid(path) is None
    held = PidFile(path)
    assert path.read_text() == f"{os.getpid()}\n"
    assert running_pid(path) == os.getpid()
    with pytest.raises(AlreadyRunning, match=f"already running with PID {os.getpid()}"):
        PidFile(path)
    held.release()
    assert not path.exists()
    assert running_pid(path) is None
    PidFile(path).release()


@pytest.mark.parametrize("content", ["1\n", "999999999\n", "", "garbage"])
def test_a_stale_file_is_taken_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.pid"
    path.write_text(content)
    assert running_pid(path) is None
    held = PidFile(path)
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_looking_does_not_make_a_starting_master_fail(tmp_path: Path) -> None:
    path = tmp_path / "master.pid"
    path.write_text("")
    reader = os.open(path, os.O_RDONLY)
    os.close(reader)
    assert running_pid(path) is None
    PidFile(path).release()


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "master.pid").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="cannot create"):
        PidFile(tmp_path / "master.pid")
    assert not (tmp_path / "elsewhere").exists()
