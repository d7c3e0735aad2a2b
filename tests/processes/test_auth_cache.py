"""The authentication cache in a real auth room with a database: hits, new passwords, the database gone, doveadm."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.auth_room import AuthRoomProcess, plain

SETTINGS = """
auth_cache_size = 1M
auth_verbose = yes
passdb db {{
  driver = sql
  sql_driver = sqlite
  sqlite_path = {folder}/users.db
  sql_query = SELECT password, nets AS allow_nets FROM users WHERE name = '%{{user}}'
}}
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[AuthRoomProcess]:
    database = sqlite3.connect(tmp_path / "users.db")
    database.execute("CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT, nets TEXT)")
    rows = [("ann", "{PLAIN}pw", None), ("bob", "{PLAIN}pw", "192.0.2.0/24")]
    database.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    database.commit()
    database.close()
    with AuthRoomProcess(tmp_path, SETTINGS.format(folder=tmp_path)) as process:
        yield process


def change(room: AuthRoomProcess, text: str) -> None:
    database = sqlite3.connect(room.folder / "users.db")
    database.execute(text)
    database.commit()
    database.close()


def login(room: AuthRoomProcess, user: str, password: str, rip: str = "192.0.2.1") -> bool:
    client = room.client()
    answer = client.ask(f"AUTH\t1\tPLAIN\tservice=imap\trip={rip}\tresp={plain(user, password)}\n")
    client.close()
    assert answer.startswith(("OK\t1", "FAIL\t1"))
    return answer.startswith("OK")


def doveadm(room: AuthRoomProcess, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "services.doveadm.cli", "-c", str(room.configuration), *argv],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(room: AuthRoomProcess, *more: str) -> dict[str, str]:
    lines = doveadm(room, "-f", "tab", "auth", "cache", "status", *more).splitlines()
    return dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))


def test_a_cache_in_front_of_a_database(room: AuthRoomProcess) -> None:
    assert login(room, "ann", "pw") and login(room, "ann", "pw")
    assert not login(room, "ann", "no")
    assert login(room, "bob", "pw") and not login(room, "bob", "pw", "198.51.100.1")
    assert not login(room, "nobody", "pw") and not login(room, "nobody", "pw")
    found = status(room)
    assert (found["pos_entries"], found["neg_entries"], found["max_size"]) == ("2", "1", "1048576")
    assert int(found["hits"]) >= 3 and int(found["used_size"]) > 0

    change(room, "UPDATE users SET password = '{PLAIN}new' WHERE name = 'ann'")
    assert not login(room, "ann", "new"), "the last password was wrong, so this one is believed to be wrong, too"
    assert login(room, "ann", "pw"), "not yet heard of"
    assert login(room, "ann", "new") and not login(room, "ann", "pw")
    change(room, "DELETE FROM users")
    assert login(room, "ann", "new"), "remembered"
    assert doveadm(room, "auth", "cache", "flush", "a*") == "1 cache entries flushed\n"
    assert not login(room, "ann", "new")
    assert login(room, "bob", "pw")
    assert doveadm(room, "auth", "cache", "flush", "-u", "bob", "nobody") == "2 cache entries flushed\n"
    assert doveadm(room, "auth", "cache", "flush") == "1 cache entries flushed\n"
    assert not login(room, "bob", "pw")
    status(room, "-r")
    assert (status(room)["hits"], status(room)["misses"]) == ("0", "0")


def test_the_protocol(room: AuthRoomProcess) -> None:
    login(room, "ann", "pw")
    master = room.master()
    assert master.ask("CACHE-FLUSH\t5\tno\\*\n") == "OK\t5\t0"
    answer = master.ask("CACHE-STATUS\t6\treset\n").split("\t")
    assert answer[:2] == ["OK", "6"]
    names = [field.partition("=")[0] for field in answer[2:]]
    assert names == ["hits", "misses", "pos_entries", "neg_entries", "pos_size", "neg_size", "used_size", "max_size"]
    assert master.ask("CACHE-FLUSH\t7\n") == "OK\t7\t1"
    master.send("CACHE-FLUSH\n")
    assert master.closed()
    users = room.master("auth-userdb")
    users.send("CACHE-FLUSH\t1\n")
    assert users.closed(), "not for everybody"
