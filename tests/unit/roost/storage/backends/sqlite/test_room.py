"""Zeros ahead of the log: nothing of it is ever read as a commit, and nothing committed is written over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

from roost.storage.backends.sqlite.connection import build_image, create_database, open_connection
from roost.storage.backends.sqlite.room import FRAME_OCTETS, HEAD_FRAMES, LEAST_OCTETS, LogRoom

ROW = b"x" * 3000


class Scene:
    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s.db")
        self.log = self.path + "-wal"
        create_database(self.path, build_image(["CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)"]))
        self.frames = 0
        self.connection = self.open()
        self.room = LogRoom(self.log)

    def open(self) -> apsw.Connection:
        connection = open_connection(self.path, "full", for_writing=True)
        connection.set_wal_hook(self._committed)
        return connection

    def _committed(self, connection: apsw.Connection, name: str, frames: int) -> int:
        self.frames = frames
        return 0

    def add(self, *, room: bool = True, rows: int = 1) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        if room:
            self.room.make()
        for _ in range(rows):
            self.connection.execute("INSERT INTO t VALUES (NULL, ?)", (ROW,))
        self.connection.execute("COMMIT")
        self.room.committed(self.frames)

    def size(self) -> int:
        return os.path.getsize(self.log)


def count_in_copy(scene: Scene, folder: Path) -> int:
    """How many rows the files have as a crash would leave them now."""
    folder.mkdir()
    shutil.copy(scene.path, folder / "s.db")
    shutil.copy(scene.log, folder / "s.db-wal")
    connection = open_connection(str(folder / "s.db"), "full", for_writing=True)
    count, wrong = connection.execute("SELECT count(*), count(*) FILTER (WHERE data <> ?) FROM t", (ROW,)).fetchall()[0]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert not wrong
    return int(count)


def test_nothing_is_prepared_for_a_first_message(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.add()
    scene.add()
    assert scene.size() <= 32 + scene.frames * FRAME_OCTETS


def test_room_is_made_and_used_up_and_every_state_is_a_store(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sizes = set()
    for n in range(1, 80):
        scene.add()
        sizes.add(scene.size())
        assert n < 4 or scene.size() >= 32 + scene.frames * FRAME_OCTETS
        if n % 8 == 0:
            assert count_in_copy(scene, tmp_path / str(n)) == n
    assert 3 <= len(sizes) < 12  # it grew seldom


def test_zeros_alone_and_in_a_log_that_was_never_used(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.room._commits = 10
    scene.connection.execute("BEGIN IMMEDIATE")
    scene.room.make()
    assert scene.size() == LEAST_OCTETS
    assert count_in_copy(scene, tmp_path / "copy") == 0
    scene.connection.execute("INSERT INTO t VALUES (NULL, ?)", (ROW,))
    scene.connection.execute("COMMIT")
    assert count_in_copy(scene, tmp_path / "copy2") == 1


def test_another_process_filled_the_room_meanwhile(tmp_path: Path) -> None:
    """What is known of the file is old: the zeros go behind what is there."""
    scene = Scene(tmp_path)
    for _ in range(6):
        scene.add()
    other = open_connection(scene.path, "full", for_writing=True)
    for _ in range(60):
        other.execute("INSERT INTO t VALUES (NULL, ?)", (ROW,))
    other.close()
    for _ in range(30):
        scene.add()
    assert count_in_copy(scene, tmp_path / "copy") == 96


def test_a_log_started_over_needs_no_more_room(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for _ in range(40):
        scene.add()
    before = scene.size()
    scene.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    for _ in range(10):
        scene.add()
    assert scene.frames < 60
    assert scene.size() == before
    assert count_in_copy(scene, tmp_path / "copy") == 50


def test_large_commits_lengthen_the_file_themselves(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for _ in range(6):
        scene.add(rows=HEAD_FRAMES * 2)
    assert scene.size() <= 32 + scene.frames * FRAME_OCTETS


def test_no_room_on_the_disk_is_not_this_ones_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)

    def full(fd: int, data: object, at: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(9):
        scene.add()
    assert count_in_copy(scene, tmp_path / "copy") == 9
