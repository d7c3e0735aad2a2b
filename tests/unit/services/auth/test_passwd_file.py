"""The passwd-file reader: its line form, its freshness, its bounds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from roost.auth.api import Query
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.auth import UserdbSettings
from roost.worker.offload import Offload
from services.auth.passdb.base import DriverContext
from services.auth.passwd_file import MAX_FILES, PasswdFiles, Row, Table
from services.auth.userdb import USERDBS


async def nobody(query: Query) -> bool:
    return False


def run(path: Path | str, *users: str, max_octets: int = 1 << 20, log: Log | None = None) -> list[Row | None]:
    async def ask() -> list[Row | None]:
        offload = Offload(asyncio.get_running_loop())
        files = PasswdFiles(str(path), max_octets=max_octets, log=log or Log("t: "), offload=offload)
        found = []
        for user in users:
            table = await files.table(Query(user))
            found.append(table.row(user) if table is not None else None)
        offload.close()
        return found

    return asyncio.run(ask())


def test_every_field_of_a_line() -> None:
    row = Row("u:{PLAIN}p:1000:1001:gecos:/home/%{user}:/bin/sh:a=b userdb_mail_path=~/m nologin x=:y=z")
    query = Query("u/..")
    assert row.password == "{PLAIN}p"
    assert row.place(query) == {"uid": "1000", "gid": "1001", "home": "/home/u%2f..", "mail_path": "~/m"}
    assert row.entry(query).fields == {"a": "b", "userdb_mail_path": "~/m", "nologin": "yes", "x": ":y=z"}


def test_short_lines_and_legacy_markers() -> None:
    assert Row("u").password == ""
    assert Row("u:p").place(Query("u")) == {}
    assert Row("u:ab.cdefghijkl[13]").password == "{CRYPT}ab.cdefghijkl"
    assert Row("u:{PLAIN}x[99]").password == "{PLAIN}x[99]"


def test_extra_fields_are_expanded_once() -> None:
    row = Row("u:::::::quota=%{user}-%{protocol} plain=%x")
    assert row.entry(Query("%{protocol}", {"service": "imap"})).fields == {"quota": "%{protocol}-imap", "plain": "%x"}


def test_comments_empty_lines_crlf_and_octets_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"# c\n\n:x\r\nu1:a\r\nu2:\xff:1:\x85\x0b2\nu3:c")
    one, two, three, none = run(path, "u1", "u2", "u3", "# c")
    assert one is not None and one.password == "a"
    assert two is not None and two.password == "\udcff" and two.gid == "\udc85\x0b2"
    assert three is not None and three.password == "c" and none is None


def test_the_first_of_two_lines_counts_and_the_second_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("u:first\nv:x\nu:second\n")
    read, write = os.pipe()
    (row,) = run(path, "u", log=Log("auth: ", Sink(write)))
    os.close(write)
    assert row is not None and row.password == "first"
    assert os.read(read, 4096).decode() == f"auth: Error: User u exists more than once in {path}\n"
    os.close(read)


def test_a_file_bigger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("u:x\n" + "#" * 2000)
    with pytest.raises(Unavailable, match="bigger than passwd_file_max_size"):
        run(path, "u", max_octets=2000)


def test_a_missing_file_is_a_failure_unless_its_path_has_variables(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        run(tmp_path / "none", "u")
    assert run(f"{tmp_path}/%{{user | domain}}", "u@none", "u", "u@" + "x" * 300, "u@..") == [None] * 4


def test_an_unreadable_kind_of_file_is_a_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for path in (tmp_path / "fifo", tmp_path / "endless", tmp_path):
        with pytest.raises(Unavailable, match="not a regular file"):
            run(path, "u")


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("../secret:stolen\n")
    assert run(f"{tmp_path}/in/%{{user}}", "../secret", "..", "/etc/passwd") == [None, None, None]


def test_a_change_is_seen_at_the_next_question_also_by_a_big_file(tmp_path: Path) -> None:
    async def ask() -> None:
        path = tmp_path / "users"
        offload = Offload(asyncio.get_running_loop())
        files = PasswdFiles(str(path), max_octets=1 << 24, log=Log("t: "), offload=offload)
        for round in range(4):
            filler = "".join(f"x{number}:{{PLAIN}}y\n" for number in range(40_000 * (round % 2)))
            path.write_text(f"u:{round}\n{filler}")
            tables = await asyncio.gather(*(files.table(Query("u")) for _ in range(5)))
            for table in tables:
                row = table.row("u") if table is not None else None
                assert row is not None and row.password == str(round)
            assert files.cached(Query("u")) is tables[0]
        path.unlink()
        assert files.cached(Query("u")) is None
        offload.close()

    asyncio.run(ask())


def test_a_replaced_file_of_equal_size_and_time_is_seen(tmp_path: Path) -> None:
    async def ask() -> None:
        path = tmp_path / "users"
        files = PasswdFiles(str(path), max_octets=1 << 20, log=Log("t: "), offload=Offload(asyncio.get_running_loop()))
        path.write_text("u:a\n")
        stamp = path.stat().st_mtime_ns
        await files.table(Query("u"))
        (tmp_path / "new").write_text("u:b\n")
        os.utime(tmp_path / "new", ns=(stamp, stamp))
        (tmp_path / "new").rename(path)
        table = await files.table(Query("u"))
        row = table.row("u") if table is not None else None
        assert row is not None and row.password == "b"

    asyncio.run(ask())


def test_files_in_memory_are_bounded(tmp_path: Path) -> None:
    async def ask() -> None:
        files = PasswdFiles(
            f"{tmp_path}/%{{user}}", max_octets=1 << 20, log=Log("t: "), offload=Offload(asyncio.get_running_loop())
        )
        for number in range(MAX_FILES + 50):
            (tmp_path / f"u{number}").write_text(f"u{number}:x\n")
            assert await files.table(Query(f"u{number}")) is not None
        for number in range(10_000):
            assert await files.table(Query(f"no{number}")) is None
        assert len(files._tables) == MAX_FILES

    asyncio.run(ask())


def test_the_decoy_is_of_the_commonest_kind() -> None:
    table = Table(
        (0, 0, 0), "a:{PLAIN}x\nb:{BLF-CRYPT}$2y$05$one\nc:{BLF-CRYPT}$2y$05$two\nd:{BLF-CRYPT}$2y$12$three\n"
    )
    assert table.decoy == "{BLF-CRYPT}$2y$05$one"
    assert Table((0, 0, 0), "").decoy == ""
    sha = Table((0, 0, 0), "a:$6$rounds=9000$s$x\nb:$6$rounds=9000$t$y\nc:$6$u$z\n")
    assert sha.decoy == "$6$rounds=9000$s$x"


def test_the_userdb_lists_its_names(tmp_path: Path) -> None:
    async def ask() -> list[str]:
        (tmp_path / "users").write_text("b:x\na:x\n#c:x\n")
        context = DriverContext(Log("t: "), Offload(asyncio.get_running_loop()), nobody)
        driver = USERDBS["passwd-file"](UserdbSettings(passwd_file_path=str(tmp_path / "users")), context)
        names = driver.iterate()
        assert names is not None
        domains = USERDBS["passwd-file"](UserdbSettings(passwd_file_path="/x/%{user}"), context)
        assert domains.iterate() is None
        return [name async for name in names]

    assert asyncio.run(ask()) == ["b", "a"]
