"""passdb and userdb sql on a real PostgreSQL: the drivers' suites, types, hostile names, failures of the server."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.postgres import PASSWORD, USER, Cluster, cluster
from kit.wait import nothing_happens, until

from roost.auth.api import Passdb, Query, Userdb, store_of
from roost.errors import ConfigError, Refused, Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.settings.schema.sql import PgsqlSettings
from roost.testing.passdb import HOSTILE_NAMES, USERS, DriverContext, PassdbSuite, StoredUser, driver_context
from roost.testing.userdb import Place, UserdbSuite
from services.auth.passdb import PASSDBS
from services.auth.userdb import USERDBS

pytestmark = pytest.mark.interop

TABLE = "CREATE TABLE users (name text PRIMARY KEY, password text, allow_nets text, userdb_quota text)"
QUERY = "SELECT password, allow_nets, userdb_quota FROM users WHERE name = '%{user}'"
UPDATE = "UPDATE users SET password = '%{password}' WHERE name = '%{user}'"
PLACES_TABLE = "CREATE TABLE places (name text PRIMARY KEY, uid int4, gid int8, home varchar(99), quota_mail_size text)"


@pytest.fixture(autouse=True, scope="module")
def server() -> Cluster:
    return cluster()


def section(database: str, limit: int = 5, **more: str) -> PgsqlSettings:
    parameters = {"user": USER, "password": PASSWORD, "dbname": database, **more}
    return PgsqlSettings(name="here", host=str(cluster().folder), connection_limit=limit, parameters=parameters)


def passdb(
    database: str, query: str = QUERY, *, context: DriverContext | None = None, limit: int = 5, **more: Any
) -> Passdb:
    more.setdefault("pgsql", (section(database, limit),))
    made = PassdbSettings(sql_driver="pgsql", sql_query=query, **more)
    return PASSDBS["sql"](made, context or driver_context())


def fill(database: str, users: Sequence[StoredUser]) -> None:
    cluster().execute(database, "TRUNCATE users")
    for user in users:
        row = (user.name, user.password, user.fields.get("allow_nets"), user.fields.get("userdb_quota"))
        cluster().execute(database, "INSERT INTO users VALUES ($1, $2, $3, $4)", values=row)


class TestPassdb(PassdbSuite):
    database = ""

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        type(self).database = cluster().database(TABLE)
        fill(self.database, users)
        return passdb(self.database, sql_update_query=UPDATE)

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        fill(self.database, users)

    def break_source(self, tmp_path: Path) -> None:
        cluster().execute(self.database, "DROP TABLE users")


class TestUserdb(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        database = cluster().database(PLACES_TABLE)
        for place in users:
            numbers = [int(place.fields[name]) if name in place.fields else None for name in ("uid", "gid")]
            row = (place.name, *numbers, place.fields.get("home"), place.fields.get("quota_mail_size"))
            cluster().execute(database, "INSERT INTO places VALUES ($1, $2, $3, $4, $5)", values=row)
        made = UserdbSettings(
            sql_driver="pgsql",
            pgsql=(section(database),),
            sql_query="SELECT uid, gid, home, quota_mail_size FROM places WHERE name = '%{user}'",
            sql_iterate_query="SELECT name AS user FROM places",
        )
        return USERDBS["sql"](made, driver_context())


@pytest.fixture(scope="module")
def database() -> str:
    made = cluster().database(TABLE, "CREATE TABLE numbers (id int4, ok bool, at inet)")
    cluster().execute(made, "INSERT INTO numbers VALUES (7, true, '192.0.2.7'), (8, NULL, NULL)")
    fill(made, USERS)
    return made


def find(driver: Passdb, name: str, **more: Any) -> Any:
    return asyncio.run(driver.find(Query(name, **more)))


def test_values_are_text_both_ways(database: str) -> None:
    query = "SELECT NULL AS password, id, ok, at, id / 2.0 AS half, NULL AS no, '{1,2}'::int[] AS list FROM numbers "
    entry = find(
        passdb(database, query + "WHERE id = '%{user}' AND at = %{remote_ip}"), "7", parameters={"rip": "192.0.2.7"}
    )
    found = dict(entry.fields)
    assert found.pop("half").startswith("3.5")
    assert found == {"id": "7", "ok": "yes", "at": "192.0.2.7", "list": "1,2"}
    assert find(passdb(database, query + "WHERE id = %{user}::int"), "8").fields["id"] == "8"
    with pytest.raises(Unavailable, match="invalid input syntax"):
        find(passdb(database, query + "WHERE id = '%{user}'"), "7 OR 1=1")


def test_a_parameter_that_the_server_cannot_guess_is_a_text(database: str) -> None:
    driver = passdb(database, "SELECT concat('a', '%{user}', '%{service}') AS password, format('%%s', '%{user}') AS x")
    assert find(driver, "bob", service="imap").password == "abobimap"
    assert find(driver, "o'r", service="imap").fields == {"x": "%s"}


def test_several_rows_are_a_failure(database: str) -> None:
    with pytest.raises(Unavailable, match="Multiple password values not supported"):
        find(passdb(database, "SELECT password FROM users"), "alice")


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:24])
def test_a_hostile_name_comes_back_as_it_is(database: str, name: str) -> None:
    entry = find(passdb(database, "SELECT 'p' AS password, '%{user}' AS user, 'a-%{user}-b' AS x"), name)
    if "\0" in name or "\udcff" in name:
        assert entry is None
    else:
        assert dict(entry.fields) == {"user": name, "x": f"a-{name}-b"}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=20, max_size=20))
def test_any_name_comes_back_as_it_is(database: str, names: list[str]) -> None:
    driver = passdb(database, "SELECT 'p' AS password, '%{user}' AS user, %{user} || '''' AS x")

    async def run() -> None:
        for name in names:
            entry = await driver.find(Query(name))
            if "\0" in name:
                assert entry is None
            else:
                assert entry is not None and entry.fields == {"user": name, "x": name + "'"}

    asyncio.run(run())


def test_many_at_once_share_few_connections(database: str) -> None:
    driver = passdb(
        database, "SELECT '%{user}' AS password, pg_backend_pid() AS pid, pg_sleep(0.01) IS NULL AS x", limit=3
    )

    async def run() -> list[Any]:
        return await asyncio.gather(*(driver.find(Query(f"user{number}")) for number in range(50)))

    found = asyncio.run(run())
    assert [entry.password for entry in found] == [f"user{number}" for number in range(50)]
    assert len({entry.fields["pid"] for entry in found}) == 3


def test_too_many_waiting_are_told_to_come_back(database: str) -> None:
    driver = passdb(database, "SELECT '%{user}' AS password, pg_sleep(0.1) AS x", limit=1, sql_queue_limit=5)

    async def run() -> list[Any]:
        return await asyncio.gather(*(driver.find(Query("u")) for _ in range(20)), return_exceptions=True)

    found = asyncio.run(run())
    assert sum(isinstance(one, Unavailable) for one in found) == 14


def test_a_caller_that_stops_waiting_leaves_nothing_behind(database: str) -> None:
    driver = passdb(database, "SELECT '%{user}' AS password, pg_sleep('%{service}') AS x", limit=1)

    async def run() -> None:
        for _ in range(3):
            asleep = asyncio.ensure_future(driver.find(Query("u", service="60")))
            waiting = asyncio.ensure_future(driver.find(Query("u", service="60")))
            await nothing_happens(0.1)
            waiting.cancel()
            asleep.cancel()
            await asyncio.gather(asleep, waiting, return_exceptions=True)
        entry = await driver.find(Query("u", service="0"))
        assert entry is not None and entry.password == "u"

    asyncio.run(run())


def test_a_slow_answer_is_a_temporary_failure(database: str) -> None:
    driver = passdb(database, "SELECT pg_sleep('%{user}')::text AS password", sql_query_timeout_msecs=200, limit=1)
    with pytest.raises(Unavailable, match=r"longer than 0\.2 seconds|statement timeout"):
        find(driver, "30")
    assert find(driver, "0") is not None


def test_a_server_that_dies_is_found_again(server: Cluster, database: str) -> None:
    driver = passdb(database)

    async def run() -> None:
        assert await driver.find(Query("alice")) is not None
        server.stop()
        with pytest.raises(Unavailable):
            await driver.find(Query("alice"))
        with pytest.raises(Unavailable, match="waiting before"):
            await driver.find(Query("alice"))
        await asyncio.to_thread(server.start)
        found: list[Any] = []

        async def again() -> None:
            while not found:
                try:
                    found.append(await driver.find(Query("alice")))
                except Unavailable:
                    await nothing_happens(0.02)

        task = asyncio.ensure_future(again())
        await until(task.done, "found again", 20)
        assert found[0].password == USERS[0].password

    asyncio.run(run())


def test_a_connection_that_was_lost_between_two_questions_is_not_noticed(server: Cluster, database: str) -> None:
    driver = passdb(database)

    async def run() -> None:
        assert await driver.find(Query("alice")) is not None
        await asyncio.to_thread(
            server.execute,
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'roost auth'",
        )
        assert await driver.find(Query("alice")) is not None

    asyncio.run(run())


def test_at_the_end_the_connections_are_closed(server: Cluster, database: str) -> None:
    driver: Any = passdb(database, "SELECT count(*) AS password FROM pg_stat_activity WHERE query LIKE '%%kept-open%%'")
    other: Any = passdb(database, "SELECT 'kept-open' AS password")

    async def run() -> list[str]:
        counts = []
        await asyncio.gather(*(other.find(Query("x")) for _ in range(3)))
        for _ in range(2):
            counts.append((await driver.find(Query("x"))).password)
            await other.close()
        return counts

    before, after = asyncio.run(run())
    assert int(before) > int(after)


@pytest.fixture
def dead_port() -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield str(one.getsockname()[1])


def test_of_several_servers_one_that_answers_is_asked(database: str, dead_port: str) -> None:
    dead = PgsqlSettings(name="127.0.0.1", parameters={"port": dead_port, "user": "x", "password": "hidden-secret"})
    driver = passdb(database, pgsql=(dead, section(database)))

    async def run() -> None:
        for _ in range(10):
            assert await driver.find(Query("alice")) is not None

    asyncio.run(run())


def test_a_server_that_never_answers_holds_nobody_up(database: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mute = PgsqlSettings(name="127.0.0.1", parameters={"port": str(silent.getsockname()[1]), "user": "x"})
        driver = passdb(database, pgsql=(mute,), sql_connect_timeout_secs=1)
        with pytest.raises(Unavailable, match="no answer within 1 seconds"):
            find(driver, "alice")


def test_no_secret_is_on_the_log(database: str, tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        sink = Sink(log.fileno(), debug=True)
        context = DriverContext(Log("auth: ", sink), driver_context().offload, driver_context().exists)
        wrong = section(database, password="wrong-secret")
        with pytest.raises(Unavailable, match="password authentication failed") as caught:
            find(passdb(database, pgsql=(wrong,), context=context), "alice")
    text = (tmp_path / "log").read_text() + repr(caught.value) + repr(wrong)
    assert "password authentication failed" in text
    assert "wrong-secret" not in text and PASSWORD not in text


def test_storing_tells_nothing(database: str) -> None:
    store = store_of(passdb(database, sql_update_query=UPDATE))
    assert store is not None
    with pytest.raises(Refused):
        asyncio.run(store.store(Query("mallory"), "{PLAIN}x"))
    broken = store_of(passdb(database, sql_update_query="UPDATE numbers SET id = '%{password}'"))
    assert broken is not None
    with pytest.raises(Unavailable) as caught:
        asyncio.run(broken.store(Query("alice"), "{PLAIN}stored-secret"))
    assert "stored-secret" not in repr(caught.value) + str(caught.value)


def test_a_long_list_comes_whole(database: str) -> None:
    made = UserdbSettings(
        sql_driver="pgsql",
        pgsql=(section(database, 1),),
        sql_query="SELECT 1 AS uid",
        sql_iterate_query="SELECT 'u' || n AS username, 'x.org' AS domain FROM generate_series(1, 2500) AS n",
    )
    driver = USERDBS["sql"](made, driver_context())

    async def names(stop: int) -> list[str]:
        found: list[str] = []
        listing: AsyncIterator[str] | None = driver.iterate()
        assert listing is not None
        async for name in listing:
            found.append(name)
            if len(found) == stop:
                break
        return found

    async def run() -> None:
        assert len(await names(10)) == 10
        found = await names(10**9)
        assert len(set(found)) == 2500 and "u7@x.org" in found
        assert await driver.find(Query("a")) == {"uid": "1"}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("parameters", "why"),
    [({"pasword": "x"}, "pasword"), ({"port": "x"}, "port"), ({"sslrootcert": "ca.pem"}, "absolute")],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        passdb("x", pgsql=(PgsqlSettings(name="db", parameters=parameters),))


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    for name in ("pgsql", "pgsql_server"):
        monkeypatch.delitem(sys.modules, f"services.auth.sql.{name}", raising=False)
    monkeypatch.delattr("services.auth.sql.pgsql", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'roost\[postgres\]'"):
        passdb("x")
