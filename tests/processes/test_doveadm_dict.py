"""doveadm dict beside the real auth room, which knows where users live; and two of it at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.auth_room import AuthRoomProcess

DICTS = """
dict homes {
  driver = sqlite
  dict_sqlite_path = ~/dict.db
}
dict one {
  driver = file
  dict_file_path = FOLDER/dict
}
"""
COUNT = 5


def command(room: AuthRoomProcess, *words: str) -> list[str]:
    return [sys.executable, "-I", "-m", "services.doveadm.cli", "-c", str(room.configuration), "dict", *words]


def doveadm(room: AuthRoomProcess, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(command(room, *words), capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_dict_in_the_homes_of_users(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, DICTS.replace("FOLDER", str(tmp_path))) as room:
        assert doveadm(room, "set", "-u", "u1", "homes", "priv/x", "one") == (0, "", "")
        assert doveadm(room, "set", "-u", "u2", "homes", "priv/x", "two") == (0, "", "")
        assert doveadm(room, "get", "-u", "u1", "homes", "priv/x") == (0, "one\n", "")
        assert (tmp_path / "mail" / "u2" / "dict.db").exists()
        status, _, err = doveadm(room, "get", "-u", "nobody", "homes", "priv/x")
        assert status == 75 and "User nobody doesn't exist" in err
        assert doveadm(room, "set", "-u", "nobody", "homes", "priv/x", "1")[0] == 75
        assert not (tmp_path / "mail" / "nobody").exists()


def test_several_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    room = AuthRoomProcess(tmp_path, DICTS.replace("FOLDER", str(tmp_path)))  # not started: nobody is asked
    assert doveadm(room, "set", "one", "shared/n", "0") == (0, "", "")
    running = [subprocess.Popen(command(room, "inc", "one", "shared/n", "1")) for _ in range(COUNT)]
    assert [process.wait(30) for process in running] == [0] * COUNT
    assert doveadm(room, "get", "one", "shared/n") == (0, f"{COUNT}\n", "")
