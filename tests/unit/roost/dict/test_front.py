"""What is the driver's own or the front's: file format, paths, escaping, failures, configuration."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.dict import keys
from roost.dict.api import Flags, Key, Outcome, Surroundings, increased
from roost.dict.drivers import factory, file_format
from roost.dict.front import Dict
from roost.dict.opening import Dicts, open_dict
from roost.dict.table import Entry
from roost.errors import ConfigError, RoostError, Unavailable
from roost.settings import load
from roost.settings.schema.dict import DictSettings

T = TypeVar("T")


def run(one: DictSettings, work: Callable[[Dict], Awaitable[T]], surroundings: Surroundings | None = None) -> T:
    async def opened() -> T:
        made = open_dict(one, surroundings or Surroundings())
        try:
            return await work(made)
        finally:
            await made.close()

    return asyncio.run(opened())


def file_dict(path: Path | str, **more: int) -> DictSettings:
    return DictSettings(name="one", driver="file", file_path=str(path), **more)  # type: ignore[arg-type]  # numbers only


async def put(one: Dict, key: str, value: bytes, user: str = "", expire_secs: int = 0) -> tuple[Outcome, str]:
    change = one.transaction(user, expire_secs)
    change.set(key, value)
    result = await change.commit()
    return result.outcome, result.reason


# --- keys


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [("a", "a"), ("a/b", "a\\|b"), ("a\\b", "a\\\\b"), ("\\|", "\\\\|"), ("", "")],
)
def test_escaping_of_components(plain: str, escaped: str) -> None:
    assert keys.escape(plain) == escaped and keys.unescape(escaped) == plain


@given(st.text())
@settings(max_examples=100)
def test_escaping_comes_back_and_leaves_no_slash(text: str) -> None:
    assert keys.unescape(keys.escape(text)) == text and "/" not in keys.escape(text)


def test_escaping_of_users() -> None:
    assert [keys.escape_user(user) for user in ("a@b", "a/b", "a\\b", "a\\-b")] == ["a@b", "a\\-b", "a\\\\b", "a\\\\-b"]


@pytest.mark.parametrize(
    ("value", "diff", "expected"),
    [(b"1", 1, b"2"), (b"-1", 1, b"0"), (b" 7\n", 0, b"7"), (b"", 1, None), (b"1_0", 1, None), (b"0x1", 1, None),
     (b"--1", 1, None), ("٣".encode(), 1, None), (b"9223372036854775806", 1, b"9223372036854775807"),
     (b"9223372036854775807", 1, None), (b"-9223372036854775808", -1, None)],
)  # fmt: skip
def test_numbers(value: bytes, diff: int, expected: bytes | None) -> None:
    assert increased(value, diff) == expected


# --- file


def test_a_file_of_dovecot_is_read_and_written_as_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    path.write_bytes(b"shared/a\n1\npriv/quota/storage\n42\npriv/odd\x01tname\ntwo\x01nlines\nother/key\nkept\n")

    async def work(one: Dict) -> None:
        assert await one.lookup("shared/a", "bob") == (b"1",)
        assert await one.lookup("priv/quota/storage", "bob") == (b"42",)
        assert await one.lookup("priv/odd\tname", "bob") == (b"two\nlines",)
        assert await put(one, "priv/new", b"x\ty", "bob") == (Outcome.OK, "")

    home = Surroundings(home=lambda user: _given(str(tmp_path)))
    run(file_dict("%{home}/dict"), work, home)
    lines = path.read_bytes().split(b"\n")
    pairs = dict(zip(lines[::2], lines[1::2], strict=False))
    assert pairs == {
        b"other/key": b"kept",
        b"shared/a": b"1",
        b"priv/quota/storage": b"42",
        b"priv/odd\x01tname": b"two\x01nlines",
        b"priv/new": b"x\x01ty",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["dict"]  # nothing is left beside it


async def _given(text: str) -> str:
    return text


def test_a_file_for_all_users_carries_their_names(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    run(file_dict(path), lambda one: put(one, "priv/x", b"1", "a/b"))
    assert path.read_bytes() == b"priv/a\\|b/x\n1\n"


@pytest.mark.parametrize("rest", [b"shared/b", b"shared/b\n", b"shared/b\nhalf a va"])
def test_a_torn_end_does_not_count(rest: bytes) -> None:
    content = file_format.parse(b"shared/a\n1\n" + rest, "", True)
    assert content.table == {Key("", "a"): Entry(b"1")} and not content.foreign


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
KEYS = st.tuples(st.sampled_from(["", "al", "a/b"]), TEXT)


@given(st.dictionaries(KEYS, st.tuples(st.binary(), st.sampled_from([0, 2000.0]))))
@settings(max_examples=100)
def test_the_file_format_comes_back(pairs: dict[tuple[str, str], tuple[bytes, float]]) -> None:
    content = file_format.Content({Key(*key): Entry(*entry) for key, entry in pairs.items()}, {})
    assert file_format.parse(file_format.octets(content, False, 1000.0), "", False) == content


def test_the_file_is_its_owners_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "dict"

    async def work(one: Dict) -> None:
        await put(one, "shared/a", b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o660)
        await put(one, "shared/a", b"2")
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    run(file_dict(path), work)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"shared/a\n1\n")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):

        async def work(one: Dict) -> None:
            with pytest.raises(Unavailable):
                await one.lookup("shared/a")
            assert (await put(one, "shared/a", b"2"))[0] is Outcome.FAILED

        run(file_dict(tmp_path / name), work)
    assert (tmp_path / "target").read_bytes() == b"shared/a\n1\n"


def test_a_held_lock_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "dict"
    with open(path, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outcome, reason = run(file_dict(path, file_lock_timeout_msecs=20), lambda one: put(one, "shared/a", b"1"))
    assert outcome is Outcome.FAILED and "locked by another process" in reason
    assert run(file_dict(path), lambda one: put(one, "shared/a", b"1")) == (Outcome.OK, "")


def test_a_file_that_is_or_would_be_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    small = file_dict(path, file_max_octets=1024)
    assert run(small, lambda one: put(one, "shared/a", b"x" * 2000))[0] is Outcome.FAILED
    path.write_bytes(b"x" * 1025)
    with pytest.raises(Unavailable):
        run(small, lambda one: one.lookup("shared/a"))


@pytest.mark.parametrize("driver", ["file", "sqlite"])
def test_a_name_never_leaves_its_folder(tmp_path: Path, driver: str) -> None:
    path = f"{tmp_path}/in/%{{user}}/dict"
    one = DictSettings(name="one", driver=driver, file_path=path, sqlite_path=path)

    async def work(made: Dict) -> None:
        for user in ("..", "../../x", "/etc", "a\tb"):
            assert (await put(made, "priv/a", b"1", user))[0] is Outcome.OK
        assert (await put(made, "shared/a", b"1"))[0] is Outcome.FAILED  # whose file?

    run(one, work)
    assert {entry.name for entry in tmp_path.iterdir()} == {"in"}


# --- sqlite


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dict.db"
    path.write_bytes(b"no database at all" * 100)
    one = DictSettings(name="one", driver="sqlite", sqlite_path=str(path))
    with pytest.raises(Unavailable) as caught:
        run(one, lambda made: made.lookup("shared/a"))
    assert str(path) in caught.value.detail
    assert run(one, lambda made: put(made, "shared/a", b"1"))[0] is Outcome.FAILED


def test_a_busy_database_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    import apsw

    path = tmp_path / "dict.db"
    one = DictSettings(name="one", driver="sqlite", sqlite_path=str(path), sqlite_busy_timeout_msecs=20)

    async def work(made: Dict) -> None:
        assert (await put(made, "shared/a", b"1"))[0] is Outcome.OK
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        assert (await put(made, "shared/a", b"2"))[0] is Outcome.FAILED
        assert await made.lookup("shared/a") == (b"1",)  # readers go on
        other.execute("ROLLBACK")
        other.close()
        assert (await put(made, "shared/a", b"3"))[0] is Outcome.OK

    run(one, work)


def test_expired_rows_leave_the_database(tmp_path: Path) -> None:
    import sqlite3

    now = [1000.0]
    one = DictSettings(name="one", driver="sqlite", sqlite_path=f"{tmp_path}/dict.db")

    async def work(made: Dict) -> None:
        await put(made, "shared/a", b"1", expire_secs=5)
        now[0] += 10
        await put(made, "shared/b", b"2")

    run(one, work, Surroundings(clock=lambda: now[0]))
    with sqlite3.connect(tmp_path / "dict.db") as database:
        assert database.execute("SELECT key FROM dict").fetchall() == [(b"b",)]


# --- redis, fail, slow ones


def test_redis_that_is_not_there_fails_at_once(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    one = DictSettings(name="one", driver="redis", redis_socket_path=f"{tmp_path}/nobody")

    async def work(made: Dict) -> None:
        with pytest.raises(Unavailable):
            await made.lookup("shared/a")
        with pytest.raises(Unavailable):
            await made.all_rows("shared/", Flags.RECURSE)
        assert (await put(made, "shared/a", b"1"))[0] is Outcome.FAILED
        change = made.transaction()
        change.atomic_inc("shared/a", 1)
        assert (await change.commit()).outcome is Outcome.FAILED

    run(one, work)


@pytest.mark.parametrize("last_words", [b"", b"*3\r\n"])
def test_redis_that_goes_away_after_exec_leaves_it_uncertain(tmp_path: Path, last_words: bytes) -> None:
    pytest.importorskip("redis")
    path = f"{tmp_path}/socket"
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.startswith(b"*"):
                words = []
                for _ in range(int(line[1:])):
                    words.append(await reader.readexactly(int((await reader.readline())[1:]) + 2))
                seen.append(words[0].strip())
                if seen[-1] == b"EXEC":
                    writer.write(last_words)
                    break
                writer.write(b"+OK\r\n")
        writer.close()

    async def work(made: Dict) -> None:
        server = await asyncio.start_unix_server(answer, path)
        assert (await put(made, "shared/a", b"1"))[0] is Outcome.UNCERTAIN
        assert seen[-3:] == [b"MULTI", b"SET", b"EXEC"] and seen.count(b"EXEC") == 1  # not sent a second time
        server.close()

    run(DictSettings(name="one", driver="redis", redis_socket_path=path), work)


def test_fail_fails() -> None:
    async def work(made: Dict) -> None:
        with pytest.raises(Unavailable):
            await made.lookup("shared/a")
        with pytest.raises(Unavailable):
            await made.all_rows("shared/")
        assert (await put(made, "shared/a", b"1"))[0] is Outcome.FAILED

    run(DictSettings(name="one", driver="fail"), work)


def test_a_driver_that_hangs_is_given_up(tmp_path: Path) -> None:
    async def work() -> None:
        made = open_dict(DictSettings(name="one", driver="memory", timeout_msecs=20))
        forever: asyncio.Event = asyncio.Event()

        class Hanging:
            loop_bound = False

            async def lookup(self, *_: object) -> None:
                await forever.wait()

            rows = apply = lookup

        made._driver = Hanging()  # type: ignore[assignment]  # made to hang
        with pytest.raises(Unavailable, match="in time"):
            await made.lookup("shared/a")
        with pytest.raises(Unavailable, match="in time"):
            await made.all_rows("shared/")
        change = made.transaction()
        change.unset("shared/a")
        assert (await change.commit()).outcome is Outcome.UNCERTAIN

    asyncio.run(work())


def test_only_so_many_calls_wait(tmp_path: Path) -> None:
    from roost.dict.threads import Threads

    async def work() -> None:
        threads, go = Threads(1, 1), threading.Event()
        waiting = [asyncio.ensure_future(threads.run(go.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await threads.run(go.wait)
        go.set()
        assert await asyncio.gather(*waiting) == [True, True]
        await threads.close()

    asyncio.run(work())


# --- configuration


def test_dicts_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text(f"""dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
redis_host = 192.0.2.1
dict_max_value_size = 5
dict counters {{
  driver = file
  dict_file_path = {tmp_path}/counters
}}
dict file {{
  path = {tmp_path}/other
}}
dict redis {{
  redis_password = hidden-word
  redis_expire = 5 mins
}}
dict sql {{
}}
""")
    config = load(str(path))
    counters, other, redis, _ = config.elements(DictSettings, "dict")
    assert (counters.file_path, counters.max_value_octets) == (f"{tmp_path}/counters", 5)
    assert (other.name, other.file_path) == ("file", f"{tmp_path}/other")
    assert (redis.redis_host, redis.redis_expire_secs) == ("192.0.2.1", 300) and "hidden-word" not in repr(redis)

    async def work() -> None:
        dicts = Dicts(config)
        assert dicts.get("counters") is dicts.get("counters")
        with pytest.raises(ConfigError, match=r"there is no dict x .there are: counters, file, redis, sql"):
            dicts.get("x")
        with pytest.raises(ConfigError, match=r"dict module: sql .there are: memory, file, sqlite, redis, fail"):
            dicts.get("sql")
        assert (await put(dicts.get("counters"), "shared/a", b"1"))[0] is Outcome.OK
        await dicts.close()

    asyncio.run(work())


@pytest.mark.parametrize("path", ["", "relative/file", "~bob/dict", "/x/%{nonsense"])
def test_paths_that_cannot_be(path: str) -> None:
    with pytest.raises(ConfigError):
        open_dict(file_dict(path))


def test_variables_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RoostError):
        run(file_dict(f"{tmp_path}/%{{nonsense}}"), lambda one: one.lookup("shared/a", "bob"))
    with pytest.raises(Unavailable, match="home"):
        run(file_dict("%{home}/dict"), lambda one: one.lookup("shared/a", "bob"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "roost.dict.drivers.redis", None)
    with pytest.raises(ConfigError, match=r"redis needs a package .*pip install 'roost\[redis\]'"):
        factory("redis")
