"""passdb and userdb sql on SQLite: the drivers' suites, and what files do: locked, replaced, missing, damaged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.wait import nothing_happens

from roost.auth.api import Passdb, Query, Userdb, store_of
from roost.errors import ConfigError, Refused, Unavailable
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.testing.passdb import HOSTILE_NAMES, USERS, PassdbSuite, StoredUser, driver_context
from roost.testing.userdb import Place, UserdbSuite
from services.auth.passdb import PASSDBS
from services.auth.userdb import USERDBS

TABLE = "CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT, allow_nets TEXT, userdb_quota TEXT)"
QUERY = "SELECT password, allow_nets, userdb_quota FROM users WHERE name = '%{user}'"
UPDATE = "UPDATE users SET password = '%{password}' WHERE name = '%{user}'"
PLACES_TABLE = "CREATE TABLE places (name TEXT PRIMARY KEY, uid INTEGER, gid INTEGER, home TEXT, quota_mail_size TEXT)"


def write(path: Path, users: Sequence[StoredUser]) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute(f"DROP TABLE IF EXISTS users; {TABLE}")
        for user in users:
            row = (user.name, user.password, user.fields.get("allow_nets"), user.fields.get("userdb_quota"))
            connection.execute("INSERT INTO users VALUES (?, ?, ?, ?)", row)


def passdb(path: Path, query: str = QUERY, **more: Any) -> Passdb:
    made = PassdbSettings(sql_driver="sqlite", sqlite_path=str(path), sql_query=query, **more)
    return PASSDBS["sql"](made, driver_context())


class TestPassdb(PassdbSuite):
    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        write(tmp_path / "users.db", users)
        return passdb(tmp_path / "users.db", sql_update_query=UPDATE)

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        write(tmp_path / "users.db", users)

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "users.db").write_bytes(b"this is no database" * 500)


class TestUserdb(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        path = tmp_path / "places.db"
        with apsw.Connection(str(path)) as connection:
            connection.execute(PLACES_TABLE)
            for place in users:
                found = [place.fields.get(name) for name in ("uid", "gid", "home", "quota_mail_size")]
                connection.execute("INSERT INTO places VALUES (?, ?, ?, ?, ?)", (place.name, *found))
        made = UserdbSettings(
            sql_driver="sqlite",
            sqlite_path=str(path),
            sql_query="SELECT uid, gid, home, quota_mail_size FROM places WHERE name = '%{user}'",
            sql_iterate_query="SELECT name AS user FROM places",
        )
        return USERDBS["sql"](made, driver_context())

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "places.db").unlink()


def find(driver: Passdb, name: str) -> Any:
    return asyncio.run(driver.find(Query(name)))


def test_null_is_absent_and_values_are_text(tmp_path: Path) -> None:
    path = tmp_path / "db"
    apsw.Connection(str(path)).close()
    path.touch()
    entry = find(passdb(path, "SELECT NULL AS password, 1 AS a, 2.5 AS b, '' AS c, x'41ff' AS d, NULL AS e"), "alice")
    assert entry.password is None
    assert dict(entry.fields) == {"a": "1", "b": "2.5", "c": "", "d": "A\udcff"}


def test_several_rows_and_a_missing_column_are_failures(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch()
    with pytest.raises(Unavailable, match="Multiple password values not supported"):
        find(passdb(path, "SELECT 'a' AS password UNION SELECT 'b'"), "alice")
    with pytest.raises(Unavailable, match="must return a field named 'password'"):
        find(passdb(path, "SELECT 'a' AS pass"), "alice")
    assert find(passdb(path, "SELECT 'Y' AS nopassword"), "alice").fields == {"nopassword": "Y"}
    assert find(passdb(path, "SELECT 'Y' AS x", fields={"password": "{PLAIN}x"}), "alice").password is None


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:24])
def test_a_hostile_name_comes_back_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / "db"
    path.touch()
    entry = find(passdb(path, "SELECT 'p' AS password, '%{user}' AS user, 'a-%{user}-b' AS x"), name)
    if "\0" in name or (not name.isascii() and "\udcff" in name):
        assert entry is None
    else:
        assert dict(entry.fields) == {"user": name, "x": f"a-{name}-b"}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60))
def test_whoever_is_stored_is_found_and_nobody_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / "db"
    write(path, [StoredUser(name, "{PLAIN}one"), StoredUser(name + "'", "{PLAIN}two")])
    driver = passdb(path)
    assert find(driver, name).password == "{PLAIN}one"
    assert find(driver, name + "'").password == "{PLAIN}two"
    assert find(driver, name + "' OR '1'='1") is None


def test_a_locked_database_is_a_temporary_failure_until_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, USERS)
    driver = passdb(path, sqlite_busy_timeout_msecs=1)
    assert find(driver, "alice") is not None
    other = apsw.Connection(str(path))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="locked"):
        find(driver, "alice")
    other.execute("ROLLBACK")
    assert find(driver, "alice") is not None


def test_a_database_that_is_replaced_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "db"
    driver = passdb(path)
    with pytest.raises(Unavailable, match="No such file"):
        find(driver, "alice")
    assert not path.exists()
    write(path, USERS)
    assert find(driver, "alice").password == USERS[0].password
    write(tmp_path / "new", [StoredUser("alice", "{PLAIN}new")])
    os.replace(tmp_path / "new", path)
    assert find(driver, "alice").password == "{PLAIN}new"
    path.unlink()
    with pytest.raises(Unavailable):
        find(driver, "alice")


def test_nothing_is_written_by_questions(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, USERS)
    with pytest.raises(Unavailable, match="readonly"):
        find(passdb(path, "DELETE FROM users WHERE name <> '%{user}' RETURNING password"), "x")
    assert find(passdb(path), "alice") is not None


def test_a_query_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS password FROM n"
    with pytest.raises(Unavailable, match="longer than"):
        find(passdb(path, endless, sql_query_timeout_msecs=20), "alice")


def test_the_loop_turns_while_a_query_runs(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS password FROM n"
    driver = passdb(path, endless, sql_query_timeout_msecs=200)

    async def run() -> int:
        task = asyncio.ensure_future(driver.find(Query("alice")))
        turns = 0
        while not task.done():
            await nothing_happens(0.001)
            turns += 1
        with pytest.raises(Unavailable):
            task.result()
        return turns

    assert asyncio.run(run()) > 5


def test_a_list_is_told_in_pieces_and_by_either_columns(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch()
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "

    def names(query: str, stop: int = 10**9) -> list[str]:
        made = UserdbSettings(
            sql_driver="sqlite", sqlite_path=str(path), sql_query="SELECT 1 AS uid", sql_iterate_query=query
        )
        driver = USERDBS["sql"](made, driver_context())

        async def run() -> list[str]:
            found: list[str] = []
            listing = driver.iterate()
            assert listing is not None
            async for name in listing:
                found.append(name)
                if len(found) >= stop:
                    break
            return found

        return asyncio.run(run())

    assert len(names(numbers + "SELECT 'u' || i AS user FROM n")) == 2500
    assert len(names(numbers + "SELECT 'u' || i AS user FROM n", 3)) == 3
    assert names("SELECT 'a' AS username, 'x.org' AS domain UNION ALL SELECT 'b', NULL") == ["a@x.org", "b"]
    with pytest.raises(Unavailable, match="must give the column user"):
        names("SELECT 'a' AS name")


def test_storing_is_for_one_who_exists_and_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, USERS)
    store = store_of(passdb(path, sql_update_query=UPDATE))
    assert store is not None
    with pytest.raises(Refused):
        asyncio.run(store.store(Query("mallory"), "{PLAIN}x"))
    with pytest.raises(Refused):
        asyncio.run(store.store(Query("a\0"), "{PLAIN}x"))
    broken = store_of(passdb(path, sql_update_query="UPDATE nothing SET password = '%{password}'"))
    assert broken is not None
    with pytest.raises(Unavailable) as caught:
        asyncio.run(broken.store(Query("alice"), "{PLAIN}secret"))
    assert "secret" not in str(caught.value)
    assert store_of(passdb(path)) is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (PassdbSettings(sql_query="SELECT 1"), "sql_driver"),
        (PassdbSettings(sql_driver="sqlite", sqlite_path="/x"), "passdb_sql_query"),
        (PassdbSettings(sql_driver="sqlite", sql_query="SELECT 1"), "sqlite_path"),
        (PassdbSettings(sql_driver="pgsql", sql_query="SELECT 1"), "pgsql"),
        (
            PassdbSettings(
                sql_driver="sqlite", sqlite_path="/x", sql_query="SELECT 1", sql_update_query="UPDATE a SET b = 1"
            ),
            "passdb_sql_update_query",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(settings: PassdbSettings, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PASSDBS["sql"](settings, driver_context())
    assert caught.value.key == key


def test_equal_blocks_share_their_connections(tmp_path: Path) -> None:
    context = driver_context()
    made = PassdbSettings(sql_driver="sqlite", sqlite_path=str(tmp_path / "db"), sql_query="SELECT 1")
    PASSDBS["sql"](made, context)
    PASSDBS["sql"](made, context)
    assert len(context.shared) == 1
