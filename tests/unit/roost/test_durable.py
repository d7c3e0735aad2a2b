"""Either the old content or the new one, at every crash point."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from roost import durable

POINTS = ["replace-written", "replace-synced", "replace-renamed"]


def test_replace(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.replace(path, b"one")
    durable.replace(path, b"two" * 100_000, mode=0o640)
    assert path.read_bytes() == b"two" * 100_000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_leaves_old_or_new(tmp_path: Path, point: str) -> None:
    path = tmp_path / "file"
    durable.replace(path, b"old")
    pid = os.fork()
    if pid == 0:
        durable.arm(point)
        durable.replace(path, b"new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert path.read_bytes() == (b"new" if point == "replace-renamed" else b"old")


def test_a_failure_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        durable.replace(tmp_path / "folder", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_crash_points_do_nothing_unless_armed() -> None:
    durable.crash_point("anything")


def test_make_folder_and_sync(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a" / "b" / "c", mode=0o750)
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o750
    (tmp_path / "a" / "file").write_bytes(b"x")
    durable.sync_file(tmp_path / "a" / "file")
    durable.sync_folder(tmp_path / "a")
