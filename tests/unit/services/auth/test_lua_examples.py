"""The scripts of docs/examples/lua, each run as its head says, against a local HTTP server, files and dicts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from kit.http_server import HttpServer, Seen, reply
from kit.lua import Lines, run
from kit.lua_example import EXAMPLES, IMAP, Example, conf_of, login

from roost.auth.api import Entry, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.settings import load
from services.auth.userdb.lua import Lua as LuaUserdb

SHA256_OF_SECRET = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="
OK, MISMATCH, DISABLED, NEXT = Outcome.OK, Outcome.MISMATCH, Outcome.DISABLED, Outcome.NEXT
BASE = "http://127.0.0.1:8080"
TOGETHER = 200


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    made.close()


def outcome(entry: Entry | None) -> Outcome:
    return Outcome.UNKNOWN if entry is None else entry.outcome


def in_json(value: object) -> bytes:
    return reply(200, json.dumps(value).encode())


async def names(driver: LuaUserdb) -> list[str]:
    await driver.start()
    iterator = driver.iterate()
    assert iterator is not None
    return sorted([name async for name in iterator])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.lua")), ids=lambda path: path.name)
def test_every_example_says_how_it_is_configured(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    if path.name == "http-auth.lua":  # of Dovecot's manual, as it stands there
        return
    assert text.startswith(f"-- {path.name}: ")
    (tmp_path / "x.conf").write_text(conf_of(path.name))
    config = load(str(tmp_path / "x.conf"), environ={})
    blocks = [*config.passdbs_of(""), *config.userdbs_of("")]
    assert any(one.lua_file == f"/etc/roost/lua/{path.name}" for one in blocks)
    assert f"test_{path.stem.replace('-', '_').replace('.', '_')}" in globals(), "an example without a test"


def test_rest_check(tmp_path: Path, lines: Lines) -> None:
    def answer(seen: Seen) -> bytes:
        asked = json.loads(seen.body)
        if seen.headers["authorization"] != "Bearer secret-of-this-server" or asked["user"] == "down":
            return reply(500, b"", reason="Broken")
        if asked["user"] == "odd":
            return reply(200, b"<html>")
        if asked["password"] == "right":
            return in_json({"result": "ok", "fields": {"userdb_quota": 5, "ip": asked["remote_ip"]}})
        return in_json({"result": asked["user"], "message": "so it is"})

    async def whole() -> None:
        all_there = asyncio.Event()

        async def when_all_are_there(seen: Seen) -> AsyncIterator[bytes]:
            if server.most_in_flight >= TOGETHER:
                all_there.set()
            await all_there.wait()
            yield answer(seen)

        async with HttpServer(answer) as server:
            driver = Example("rest-check.lua", tmp_path, lines, {BASE: server.url}).passdb()
            entry = await login(driver, "alice", "right")
            assert entry == Entry(None, {"userdb_quota": "5", "ip": "192.0.2.7"})
            for user, expected in (("mismatch", MISMATCH), ("disabled", DISABLED), ("expired", Outcome.EXPIRED)):
                entry = await login(driver, user, "wrong")
                assert entry is not None and (entry.outcome, entry.reason) == (expected, "so it is")
            for user, text in (("down", "check service: 500 Broken"), ("odd", "check service: not an answer")):
                with pytest.raises(Unavailable) as caught:
                    await login(driver, user, "wrong")
                assert caught.value.detail == text
            server.answer = when_all_are_there
            asked = [login(driver, f"u{number}", "right") for number in range(TOGETHER)]
            assert all(outcome(entry) is OK for entry in await asyncio.gather(*asked))
            await driver.close()
            await asyncio.sleep(0)
        assert server.most_in_flight == TOGETHER and b"right" in server.requests[0].body
        assert "right" not in "".join(text for _, text in lines.seen)

    run(whole())


CSV = "\n".join(
    [
        "name,domain,password,quota,home,active",
        f"alice,example.org,{SHA256_OF_SECRET},5M,/h/alice,1",
        '"bob, the ""builder""",example.org,"{PLAIN}a,b",1M,/h/bob,1',
        "gone,example.org,{PLAIN}x,1M,/h/gone,0",
        "",
    ]
)


def test_table_lookup(tmp_path: Path, lines: Lines) -> None:
    table = tmp_path / "users.csv"
    table.write_text(CSV)
    replace = {"/etc/roost/users.csv": str(table), "refresh = 30": "refresh = 0"}
    example = Example("table-lookup.lua", tmp_path, lines, replace)

    async def whole() -> None:
        passdb, userdb = example.passdb(), example.userdb()
        assert await passdb.find(Query("Alice@example.org")) == Entry(SHA256_OF_SECRET)
        assert await passdb.find(Query('bob, the "builder"@example.org')) == Entry("{PLAIN}a,b")
        assert await passdb.find(Query("gone@example.org")) is None and await passdb.find(Query("' OR 1=1")) is None
        assert await userdb.find(Query("alice@example.org")) == {"home": "/h/alice", "quota_mail_size": "5M"}
        assert await names(userdb) == ["alice@example.org", 'bob, the "builder"@example.org']
        table.write_text(CSV.replace(",0\n", ",1\n"))
        assert await passdb.find(Query("gone@example.org")) == Entry("{PLAIN}x")

    run(whole())
    table.unlink()
    with pytest.raises(ConfigError, match=r"script_init.*users\.csv.*No such file"):
        run(example.passdb().start())


def test_quota_home(tmp_path: Path, lines: Lines) -> None:
    plans = {
        "plans": {
            "default": {"name": "small", "message": "5M", "connections": 3},
            "gold": {"name": "gold", "message": "50M"},
        },
        "users": {"alice@example.org": "gold", "odd@example.org": "silver"},
    }
    (tmp_path / "plans.json").write_text(json.dumps(plans))
    userdb = Example("quota-home.lua", tmp_path, lines, {"/etc/roost/plans.json": f"{tmp_path}/plans.json"}).userdb()

    async def whole() -> None:
        gold = dict(await userdb.find(Query("alice@example.org")) or {})
        assert gold.pop("home").startswith("/var/mail/example.org/")
        assert gold == {"plan": "gold", "quota_mail_size": "50M"}
        small = dict(await userdb.find(Query("bob@example.org")) or {})
        assert small["mail_max_userip_connections"] == "3" and small["home"].endswith("/bob")
        for name in ("x", "../x@example.org", "x@../y", ".x@example.org", "x/y@example.org"):
            assert await userdb.find(Query(name)) is None
        with pytest.raises(Unavailable, match="Temporary") as caught:
            await userdb.find(Query("odd@example.org"))
        assert caught.value.detail == "odd@example.org has a plan that does not exist"

    run(whole())


NETWORKS = "# countries\n192.0.2.0/24 XA\n192.0.2.128/25 XC\n2001:db8::/32 XB\n\n198.51.100.7/32 XA\n"


def test_country_block(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "networks.txt").write_text(NETWORKS)
    example = Example("country-block.lua", tmp_path, lines, {"/etc/roost/networks.txt": f"{tmp_path}/networks.txt"})

    async def whole() -> None:
        driver = example.passdb()
        for address, expected in (
            ("192.0.2.1", DISABLED),
            ("192.0.2.129", NEXT),  # a smaller network of another country
            ("192.0.3.1", NEXT),
            ("198.51.100.7", DISABLED),
            ("198.51.100.8", NEXT),
            ("2001:db8::1", DISABLED),
            ("2001:db8:ffff:1:2:3:4:5", DISABLED),
            ("2001:db9::1", NEXT),
            ("::ffff:192.0.2.1", NEXT),
        ):
            assert outcome(await login(driver, "alice", "x", {"service": "imap", "rip": address})) is expected, address
        assert outcome(await login(driver, "alice", "x", {"service": "imap"})) is NEXT
        assert outcome(await driver.find(Query("alice", {"rip": "192.0.2.1"}))) is DISABLED

    run(whole())
    assert any("login from XB refused: 2001:db8::1" in text for _, text in lines.seen)
    (tmp_path / "networks.txt").write_text("nonsense\n")
    with pytest.raises(ConfigError, match="not a network: nonsense"):
        run(example.passdb().start())


def test_otp_http(tmp_path: Path, lines: Lines) -> None:
    def answer(seen: Seen) -> bytes:
        form = parse_qs(seen.body.decode())
        if form["code"] == ["000000"]:
            return reply(503, b"")
        return reply(200 if (form["user"], form["code"]) == (["a b&c"], ["123456"]) else 403, b"")

    async def whole() -> None:
        async with HttpServer(answer) as server:
            driver = Example("otp-http.lua", tmp_path, lines, {BASE: server.url}).passdb()
            fields = {"otp_hash": SHA256_OF_SECRET}
            assert outcome(await login(driver, "a b&c", "secret123456", IMAP, fields)) is OK
            assert outcome(await login(driver, "a b&c", "secret123457", IMAP, fields)) is MISMATCH
            asked = len(server.requests)
            for password in ("secret", "wrong123456", "123456", "secret12345", "secret123456 "):
                assert outcome(await login(driver, "a b&c", password, IMAP, fields)) is MISMATCH, password
            assert len(server.requests) == asked  # a wrong password never reaches the code server
            assert await login(driver, "a b&c", "secret123456") is None
            with pytest.raises(Unavailable) as caught:
                await login(driver, "a b&c", "secret000000", IMAP, fields)
            assert caught.value.detail == "code server: 503"
            await driver.close()

    run(whole())


def test_dict_lockout(tmp_path: Path, lines: Lines) -> None:
    example = Example("dict-lockout.lua", tmp_path, lines, {"/var/lib/roost/lockout": f"{tmp_path}/lockout"})

    async def whole() -> None:
        driver = example.passdb()
        assert await login(driver, "alice", "secret") == Entry(None, {"userdb_logins": "1"})
        assert outcome(await login(driver, "alice", "wrong")) is MISMATCH
        assert await login(driver, "alice", "secret") == Entry(None, {"userdb_logins": "2"})
        for _ in range(3):
            assert outcome(await login(driver, "alice", "wrong")) is MISMATCH
        entry = await login(driver, "alice", "secret")
        assert entry is not None and (entry.outcome, entry.reason) == (DISABLED, "locked out after 3 failures")
        assert outcome(await login(driver, "bob", "secret")) is Outcome.UNKNOWN
        await driver.close()
        other = example.passdb()  # another process
        assert outcome(await login(other, "alice", "secret")) is DISABLED
        await other.close()

    run(whole())


def test_office_hours(tmp_path: Path, lines: Lines) -> None:
    replace = {"Mon-Fri 08:00-18:00": "Sun-Sat 00:00-24:00", "Mon-Sun 06:30-22:00": "Sun-Sat 00:00-00:00"}
    example = Example("office-hours.lua", tmp_path, lines, replace)

    async def whole() -> None:
        driver = example.passdb()
        assert outcome(await login(driver, "bob@example.org", "x")) is NEXT
        assert outcome(await login(driver, "eve@example.org", "x")) is NEXT
        entry = await login(driver, "eve@example.net", "x")
        assert entry is not None and (entry.outcome, entry.reason) == (DISABLED, "not at this hour")

    run(whole())
    with pytest.raises(ConfigError, match=r"bob@example\.org: not a rule: sometimes"):
        run(Example("office-hours.lua", tmp_path, lines, {"Mon-Fri 08:00-18:00": "sometimes"}).passdb().start())


def test_domain_proxy(tmp_path: Path, lines: Lines) -> None:
    driver = Example("domain-proxy.lua", tmp_path, lines).passdb()

    async def whole() -> None:
        fields = {"nopassword": "yes", "proxy": "yes"}
        query = Query("u@Example.org", IMAP)
        assert await driver.find(query) == Entry(
            None, {**fields, "host": "imap1.internal", "destuser": "u@Example.org", "ssl": "yes"}
        )
        assert await driver.find(Query("u@example.net", {"service": "smtp"})) == Entry(
            None, {**fields, "host": "imap2.internal", "port": "10993", "destuser": "u@example.net"}
        )
        assert await driver.find(Query("u@example.com")) == Entry(
            None,
            {"nopassword": "yes", "nologin": "yes", "reason": "Your mailbox has moved to mail.example.com"},
        )
        assert await driver.find(Query("u@nowhere")) is None and await driver.find(Query("u")) is None

    run(whole())


def test_app_passwords(tmp_path: Path, lines: Lines) -> None:
    table = {
        "alice": [
            {"name": "phone", "hash": SHA256_OF_SECRET, "protocols": ["imap"]},
            {"name": "broken", "hash": "{SHA256}%"},
            {"name": "script", "hash": "{PLAIN}other"},
        ]
    }
    (tmp_path / "app.json").write_text(json.dumps(table))
    replace = {"/etc/roost/app-passwords.json": f"{tmp_path}/app.json"}
    driver = Example("app-passwords.lua", tmp_path, lines, replace).passdb()

    async def whole() -> None:
        assert await login(driver, "alice", "secret") == Entry(None, {"userdb_app": "phone"})
        assert await login(driver, "alice", "other", {"service": "smtp"}) == Entry(None, {"userdb_app": "script"})
        entry = await login(driver, "alice", "secret", {"service": "smtp"})
        assert entry is not None and (entry.outcome, entry.reason) == (MISMATCH, "app password phone is not for smtp")
        assert outcome(await login(driver, "alice", "wrong")) is MISMATCH and await login(driver, "bob", "x") is None

    run(whole())
    said = [text for _, text in lines.seen]
    assert any("lua(alice): db-lua: app password phone used" in text for text in said)
    assert any("app password broken: Password data is not valid for scheme SHA256" in text for text in said)


def test_list_users(tmp_path: Path, lines: Lines) -> None:
    everybody = [f"user{number:03} ü" for number in range(25)]

    def answer(seen: Seen) -> bytes:
        path, _, query = seen.target.partition("?")
        if query:
            after = parse_qs(query, keep_blank_values=True)["after"][0]
            rest = [name for name in everybody if name > after]
            return in_json({"users": [{"name": name} for name in rest[:10]], "more": len(rest) > 10})
        name = unquote(path.rpartition("/")[2])
        if name == "down":
            return reply(500, b"", reason="Broken")
        return in_json({"home": "/h"}) if name in everybody else reply(404, b"")

    async def whole() -> None:
        async with HttpServer(answer) as server:
            driver = Example("list-users.lua", tmp_path, lines, {BASE: server.url}).userdb()
            assert await names(driver) == everybody
            assert await driver.find(Query("user003 ü")) == {"home": "/h"}
            assert await driver.find(Query("../x?y")) is None
            with pytest.raises(Unavailable) as caught:
                await driver.find(Query("down"))
            assert "directory: 500 Broken" in caught.value.detail
            await driver.close()

    run(whole())


def test_cache_key(tmp_path: Path, lines: Lines) -> None:
    def answer(seen: Seen) -> bytes:
        asked = parse_qs(seen.target.partition("?")[2])
        if asked["user"] != ["alice"]:
            return reply(404, b"")
        return in_json({"hash": SHA256_OF_SECRET, "networks": asked["from"][0]})

    async def whole() -> None:
        async with HttpServer(answer) as server:
            driver = Example("cache-key.lua", tmp_path, lines, {BASE: server.url}).passdb()
            await driver.start()
            assert driver.variables == {"user", "remote_ip"}
            assert await driver.find(Query("alice", IMAP)) == Entry(SHA256_OF_SECRET, {"allow_nets": "outside"})
            inside = await driver.find(Query("alice", {"rip": "10.0.0.1"}))
            assert inside == Entry(SHA256_OF_SECRET, {"allow_nets": "inside"})
            assert await driver.find(Query("bob", IMAP)) is None
            await driver.close()

    run(whole())


def test_legacy_2_3(tmp_path: Path, lines: Lines) -> None:
    example = Example("legacy-2.3.lua", tmp_path, lines)

    async def whole() -> None:
        passdb, userdb = example.passdb(), example.userdb()
        entry = await login(passdb, "alice@example.org", "x")
        assert entry == Entry("{PLAIN}wonderland", {"user": "alice", "mech_PLAIN": ""}, unverified=True)
        assert await passdb.find(Query("mallory")) is None
        assert await passdb.find(Query("alice@other.org")) is None
        smtp = await passdb.find(Query("alice", {"service": "smtp"}))
        assert smtp == Entry(None, {"nopassword": "y"}, NEXT)
        assert passdb.variables == {"user"}
        fields = await userdb.find(Query("alice", IMAP))
        assert fields == {"home": "/home/alice", "lip": "192.0.2.1", "quiet": ""}
        assert await userdb.find(Query("eve")) is None
        assert await names(userdb) == ["alice", "bob"]

    run(whole())
