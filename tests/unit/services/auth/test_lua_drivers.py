"""What ``passdb lua`` and ``userdb lua`` make of scripts: hooks, results, fields, requests, cache keys, life."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kit.lua import Lines, run

from roost.auth.api import DriverContext, Entry, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.events.log import Log
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.passdb.lua import Lua as LuaPassdb
from services.auth.userdb.lua import Lua as LuaUserdb

T = TypeVar("T")
PARAMETERS = {
    "service": "imap",
    "lip": "192.0.2.1",
    "rip": "192.0.2.2",
    "lport": "143",
    "rport": "50000",
    "session": "s1",
    "secured": "tls",
    "client_id": "name=x",
    "ssl_client_cert_fp": "ab",
    "valid-client-cert": "",
}
ONE = Query("u@example.org", PARAMETERS, "plain", "U@example.org")


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines(debug=True)
    yield made
    made.close()


def context(lines: Lines) -> DriverContext:
    async def in_thread(fn: Callable[..., T], *args: object) -> T:
        return await asyncio.to_thread(fn, *args)

    async def nobody(query: Query) -> bool:
        return False

    return DriverContext(Log("auth: ", lines), in_thread, nobody)


def passdb(folder: Path, lines: Lines, source: str, **settings: Any) -> LuaPassdb:
    (folder / "p.lua").write_text(source)
    return LuaPassdb(PassdbSettings(name="lua", lua_file=str(folder / "p.lua"), **settings), context(lines))


def userdb(folder: Path, lines: Lines, source: str, **settings: Any) -> LuaUserdb:
    (folder / "u.lua").write_text(source)
    return LuaUserdb(UserdbSettings(name="lua", lua_file=str(folder / "u.lua"), **settings), context(lines))


def found(entry: Entry | None) -> Entry:
    assert entry is not None
    return entry


def failure(asked: Awaitable[object]) -> str:
    async def whole() -> str:
        with pytest.raises(Unavailable) as caught:
            await asked
        return caught.value.detail

    return run(whole())


LOOKUP = "function auth_passdb_lookup(req)\n %s\nend\n"
VERIFY = "function auth_password_verify(req, password)\n %s\nend\n"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("PASSDB_RESULT_OK", Outcome.OK),
        ("PASSDB_RESULT_PASSWORD_MISMATCH", Outcome.MISMATCH),
        ("PASSDB_RESULT_SCHEME_NOT_AVAILABLE", Outcome.SCHEME_NOT_AVAILABLE),
        ("PASSDB_RESULT_USER_DISABLED", Outcome.DISABLED),
        ("PASSDB_RESULT_PASS_EXPIRED", Outcome.EXPIRED),
        ("PASSDB_RESULT_NEXT", Outcome.NEXT),
    ],
)
def test_codes_are_outcomes(tmp_path: Path, lines: Lines, code: str, outcome: Outcome) -> None:
    driver = passdb(tmp_path, lines, VERIFY % f"return dovecot.auth.{code}, {'{}' if 'OK' in code else 'nil'}")
    assert found(run(driver.verify(ONE, Secret(b"pw")))).outcome is outcome


def test_a_user_that_is_unknown(tmp_path: Path, lines: Lines) -> None:
    source = "return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN"
    driver = passdb(tmp_path, lines, VERIFY % source + LOOKUP % source)
    assert run(driver.verify(ONE, Secret(b"pw"))) is None and run(driver.find(ONE)) is None
    driver = passdb(tmp_path, lines, LOOKUP % (source + ', "no such one"'))
    assert run(driver.find(ONE)) == Entry(None, {}, Outcome.UNKNOWN, "no such one")


def test_without_a_verifying_function_the_room_compares(tmp_path: Path, lines: Lines) -> None:
    source = 'return 1, {password = "{PLAIN}" .. (req.password or "no")}'
    driver = passdb(tmp_path, lines, LOOKUP % source)
    entry = found(run(driver.verify(ONE, Secret("pä".encode()))))
    assert entry.unverified and entry.password == "{PLAIN}pä"
    assert found(run(driver.find(ONE))).password == "{PLAIN}no"


def test_a_verifying_function_wins(tmp_path: Path, lines: Lines) -> None:
    driver = passdb(tmp_path, lines, VERIFY % "return 1, {x = password, y = req.password}" + LOOKUP % "error('no')")
    entry = found(run(driver.verify(ONE, Secret(b"pw"))))
    assert (entry.outcome, entry.unverified, entry.fields) == (Outcome.OK, False, {"x": "pw", "y": "pw"})
    assert "lua_pcall(auth_passdb_lookup, 1, 2) failed: " in failure(driver.find(ONE))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return", "db-lua: auth_passdb_lookup(req) invalid return value (expected number got nil)"),
        ("return 'x', {}", "db-lua: auth_passdb_lookup(req) invalid return value (expected number got string)"),
        ("return {}", "db-lua: auth_passdb_lookup(req) invalid return value (expected number got table)"),
        ("return 77", "db-lua: auth_passdb_lookup(req) invalid return value 77"),
        ("return 1, 5", "db-lua: auth_passdb_lookup(req) invalid return value (expected nil or table, got number)"),
        ("return 1, print", "(expected nil or table, got function)"),
        ("return -1, 'down'", "down"),
        ("return -1", "passdb failed"),
        ("local x = nil; return x.y", "attempt to index a nil value (local 'x')"),
        ("error('boom')", "p.lua:2: boom"),
        ("error({})", "passdb-lua: lua_pcall(auth_passdb_lookup, 1, 2) failed: "),
        ("os.exit(0)", "os.exit is not allowed in a script"),
        ("local function f() return 1 + f() end; return f()", "stack overflow"),
        ("coroutine.yield(1)", "attempt to yield from outside a coroutine"),
        ("return 1, setmetatable({}, {__pairs = error})", None),
        ("local t = {}; t.t = t; return 1, t", "nested too deeply"),
    ],
)
def test_nonsense_is_an_internal_failure(tmp_path: Path, lines: Lines, body: str, text: str | None) -> None:
    driver = passdb(tmp_path, lines, LOOKUP % body)
    if text is None:
        assert found(run(driver.find(ONE))).fields == {}
    else:
        assert text in failure(driver.find(ONE))


def test_a_function_that_is_missing(tmp_path: Path, lines: Lines) -> None:
    driver = passdb(tmp_path, lines, VERIFY % "return 1")
    assert "'auth_passdb_lookup' is not a function" in failure(driver.find(ONE))


def test_strict_and_lenient_results(tmp_path: Path, lines: Lines) -> None:
    source = LOOKUP % 'return dovecot.auth.PASSDB_RESULT_OK, "nopassword=y a=b c"'
    entry = found(run(passdb(tmp_path, lines, source).find(ONE)))
    assert entry.fields == {"nopassword": "y", "a": "b", "c": ""}
    said = [text for level, text in lines.seen if level == "W"]
    assert len(said) == 1 and "auth_passdb_lookup() returns a string of fields" in said[0]
    text = failure(passdb(tmp_path, lines, source, lua_compat="2.4").find(ONE))
    assert text == "db-lua: auth_passdb_lookup(req) invalid return value (expected nil or table, got string)"
    source = LOOKUP % "return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, {}"
    assert found(run(passdb(tmp_path, lines, source).find(ONE))).outcome is Outcome.MISMATCH
    assert failure(passdb(tmp_path, lines, source, lua_compat="2.4").find(ONE)) == (
        "db-lua: invalid error return value (expected nil or string, got table)"
    )


def test_field_names_and_values(tmp_path: Path, lines: Lines) -> None:
    body = r"""return 1, {[""] = "a", ["x\ty"] = "b", ["x\ny"] = "c", password = "pass",
      n = 1.5, m = 5.0, z = "01234", t = true, f = false, [3] = "three", p = print}"""
    entry = found(run(passdb(tmp_path, lines, LOOKUP % body, default_password_scheme="PLAIN").find(ONE)))
    assert entry.password == "pass"
    assert entry.fields == {"n": "0", "m": "5", "z": "01234", "t": "yes", "f": "no", "3": "three"}
    warnings = [text for level, text in lines.seen if level == "W"]
    assert sum("db-lua: Field key" in text for text in warnings) == 3 and len(warnings) == 4
    assert all("lua(u@example.org): db-lua: Field" in text for text in warnings)


def test_a_password_without_a_scheme(tmp_path: Path, lines: Lines) -> None:
    source = LOOKUP % 'return 1, {password = req.user == "h" and "$6$x" or "pass"}'
    driver = passdb(tmp_path, lines, source)
    assert found(run(driver.find(ONE))).password == "pass" and found(run(driver.find(ONE))).password == "pass"
    assert [level for level, _ in lines.seen] == ["W"] and "without {SCHEME}" in lines.seen[0][1]
    driver = passdb(tmp_path, lines, source, lua_compat="2.3")
    assert found(run(driver.find(ONE))).password == "{PLAIN}pass"
    assert found(run(driver.find(Query("h")))).password == "$6$x"
    driver = passdb(tmp_path, lines, source, lua_compat="2.3", default_password_scheme="SHA256")
    assert found(run(driver.find(ONE))).password == "pass"
    assert len(lines.seen) == 1


MEMBERS = """
local names = {"user", "protocol", "local_ip", "remote_ip", "local_port", "remote_port", "real_local_ip",
  "real_remote_ip", "client_pid", "password", "id", "mechanism", "secured", "cert", "session", "session_pid",
  "domain_first", "domain_last", "login_user", "master_user", "original_user", "auth_user", "owner_user", "local_name",
  "client_id", "ssl_ja3_hash", "ssl_client_cert_fp", "ssl_client_cert_pubkey_fp", "home", "username", "domain",
  "service", "rip", "mech"}
function auth_passdb_lookup(req)
  local made = {}
  for _, name in ipairs(names) do made[name] = req[name] end
  made.password, made.pass = nil, made.password
  made.skip, made.unknown, made.internal = req.skip_password_check, req.passdbs_seen_user_unknown,
    req.passdbs_seen_internal_failure
  made.before, made.block, made.u = req.passdb.before, req.passdb.block, req.userdb.u
  return 1, made
end
"""


def test_members_of_the_request(tmp_path: Path, lines: Lines) -> None:
    driver = passdb(tmp_path, lines, MEMBERS, fields={"block": "of %{user}", "over": "block"})
    query = Query(
        "a@b@c", PARAMETERS, "plain", "A@b@c", passdb_fields={"before": "yes", "userdb_u": "1"}, seen_unknown=True
    )
    fields = dict(found(run(driver.verify(query, Secret(b"pw")))).fields)
    assert fields == {
        "user": "a@b@c",
        "protocol": "imap",
        "local_ip": "192.0.2.1",
        "remote_ip": "192.0.2.2",
        "local_port": "143",
        "remote_port": "50000",
        "real_local_ip": "192.0.2.1",
        "real_remote_ip": "192.0.2.2",
        "pass": "pw",
        "id": "1",
        "mechanism": "PLAIN",
        "secured": "TLS",
        "cert": "valid",
        "session": "s1",
        "session_pid": "",
        "domain_first": "b@c",
        "domain_last": "c",
        "original_user": "A@b@c",
        "auth_user": "A@b@c",
        "owner_user": "a@b@c",
        "client_id": "name=x",
        "ssl_client_cert_fp": "ab",
        "username": "a",
        "domain": "b@c",
        "service": "imap",
        "rip": "192.0.2.2",
        "mech": "PLAIN",
        "skip": "no",
        "unknown": "yes",
        "internal": "no",
        "before": "yes",
        "u": "1",
        "block": "of a@b@c",
        "over": "block",
    }
    bare = dict(found(run(driver.find(Query("x")))).fields)
    assert "pass" not in bare and "domain_first" not in bare and bare["secured"] == bare["cert"] == ""


def test_values_of_the_script_win_over_the_blocks(tmp_path: Path, lines: Lines) -> None:
    source = LOOKUP % "return 1, {a = 'script', c = 'script'}"
    driver = passdb(tmp_path, lines, source, fields={"a": "block", "b": "block"})
    assert found(run(driver.find(ONE))).fields == {"a": "script", "b": "block", "c": "script"}


def test_passwords_can_be_compared(tmp_path: Path, lines: Lines) -> None:
    source = r"""
    local function said(...) local r, e = ... return r .. ":" .. (e or "nil") end
    return 1, {
      a = said(req:password_verify("{PLAIN}pw", "pw")),
      b = said(req:password_verify("pw", "pw")),
      c = said(req:password_verify("{PLAIN}pw", "no")),
      d = said(req:password_verify("{NONE}pw", "pw")),
      e = said(req:password_verify("{SHA256.B64}%%%", "pw")),
      f = said(req:password_verify("{BLF-CRYPT}$2y$05$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu", "no")),
      g = said(req:password_verify("{MD5-CRYPT}$1$a$b", "pw")),
      h = said(req:password_verify("{PLAIN}pw", "pw\0x")),
    }"""
    fields = dict(found(run(passdb(tmp_path, lines, LOOKUP % source.replace("%", "%%") % ()).find(ONE))).fields)
    assert (fields["a"], fields["b"]) == ("1:nil", "1:nil")
    assert fields["c"] == fields["f"] == fields["h"] == "0:Password mismatch"
    assert fields["d"] == "0:Unknown scheme NONE"
    assert fields["e"].startswith("-1:Password data is not valid for scheme SHA256: ")
    assert fields["g"].startswith("-1:")


def test_lines_name_the_block_and_the_user(tmp_path: Path, lines: Lines) -> None:
    driver = passdb(tmp_path, lines, LOOKUP % 'req:log_info("hello\\n")\n return 1')
    run(driver.find(ONE))
    assert lines.seen == [("I", "auth: lua(u@example.org): db-lua: hello\n")]


USERDB = """
function auth_userdb_lookup(req)
  if req.user == "nobody" then return dovecot.auth.USERDB_RESULT_USER_UNKNOWN end
  if req.user == "down" then return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, "cannot say" end
  return dovecot.auth.USERDB_RESULT_OK, {home = "/h/" .. req.user, p = req.passdb.p, u = req.userdb.u,
    block = req.userdb.x, seen = req.userdbs_seen_internal_failure, skip = req.skip_password_check}
end
"""


def test_a_userdb(tmp_path: Path, lines: Lines) -> None:
    driver = userdb(tmp_path, lines, USERDB, fields={"x": "y"})
    query = Query("u", passdb_fields={"p": "1"}, userdb_fields={"u": "2"}, seen_internal=True, authenticated=True)
    fields = run(driver.find(query))
    assert fields == {"x": "y", "home": "/h/u", "p": "1", "u": "2", "block": "y", "seen": "yes", "skip": "yes"}
    assert run(driver.find(Query("nobody"))) is None
    assert failure(driver.find(Query("down"))) == "cannot say"


def names(driver: LuaUserdb) -> list[str] | None:
    async def whole() -> list[str] | None:
        await driver.start()
        iterator = driver.iterate()
        return None if iterator is None else [name async for name in iterator]

    return run(whole())


def test_iteration(tmp_path: Path, lines: Lines) -> None:
    iterate = "function auth_userdb_iterate() return %s end"
    assert sorted(names(userdb(tmp_path, lines, iterate % '{"a", x = "b", [7] = 5}')) or []) == ["5", "a", "b"]
    assert names(userdb(tmp_path, lines, USERDB)) is None
    for value, text in (
        ("5", "db-lua: Cannot iterate, return value is not table"),
        ("{true}", "db-lua: Value is not string"),
    ):
        with pytest.raises(Unavailable) as caught:
            names(userdb(tmp_path, lines, iterate % value))
        assert caught.value.detail == text
    many = "function auth_userdb_iterate() local t = {} for i = 1, 150000 do t[i] = 'u' .. i end return t end"
    assert len(names(userdb(tmp_path, lines, many)) or []) == 150_000


def started(driver: LuaPassdb) -> LuaPassdb:
    run(driver.start())
    return driver


def test_cache_keys(tmp_path: Path, lines: Lines) -> None:
    key = LOOKUP % "return 1" + "function auth_passdb_get_cache_key() return %s end"
    assert started(passdb(tmp_path, lines, LOOKUP % "return 1")).variables is None
    assert started(passdb(tmp_path, lines, LOOKUP % "return 1", lua_compat="2.3")).variables == {"user"}
    driver = started(
        passdb(tmp_path, lines, key % '"%%{user | lower}%%{protocol}%%{user}"' % (), fields={"x": "%{remote_ip}"})
    )
    assert driver.variables == {"user", "protocol", "remote_ip"} and not lines.seen
    assert started(passdb(tmp_path, lines, key % '"%%{user}%%{passdb:x}"' % ())).variables is None
    assert "nothing is cached" in lines.seen[-1][1]
    for value, text in (
        ('"plain"', "Cache key must contain at least one variable"),
        ("5", "db-lua: auth_passdb_get_cache_key invalid return value (expected string, got number)"),
        ("nil", "db-lua: auth_passdb_get_cache_key invalid return value (expected string, got nil)"),
    ):
        with pytest.raises(ConfigError, match="passdb lua: ") as caught:
            started(passdb(tmp_path, lines, key % value))
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("x = = 1", ["Lua script '", "lua_load(", "p.lua:1: unexpected symbol near '='"]),
        ("\nerror('top')", ["lua_pcall(", "p.lua:2: top"]),
        ("function script_init()\n error('init') end", ["lua_pcall(script_init, 1, 0) failed: ", "p.lua:2: init"]),
        ("\nlocal x = nil + 1", ["p.lua:2: attempt to perform arithmetic on a nil value"]),
    ],
)
def test_a_broken_script_does_not_start(tmp_path: Path, lines: Lines, source: str, texts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        started(passdb(tmp_path, lines, source))
    for text in (*texts, "passdb lua: passdb-lua: initialization failed: "):
        assert text in str(caught.value)


def test_files_that_are_no_scripts(tmp_path: Path, lines: Lines) -> None:
    with pytest.raises(ConfigError, match="passdb lua: lua_file setting is empty"):
        LuaPassdb(PassdbSettings(name="lua"), context(lines))
    with pytest.raises(ConfigError, match="Lua doesn't support inline content for lua_file"):
        LuaPassdb(PassdbSettings(name="lua", lua_file="inline:x = 1"), context(lines))
    driver = LuaPassdb(PassdbSettings(name="lua", lua_file="/nowhere/x.lua"), context(lines))
    with pytest.raises(ConfigError, match=r"access\(/nowhere/x.lua\) failed: No such file or directory"):
        started(driver)


def test_runtimes_are_apart_and_a_changed_file_counts_at_the_next_start(tmp_path: Path, lines: Lines) -> None:
    source = LOOKUP % "n = (n or 0) + 1; local r = req:password_verify('x', 'y'); return 1, {n = n, v = '%s'}"
    driver = passdb(tmp_path, lines, source % "one", lua_pool_size=2)

    async def whole() -> list[str]:
        await driver.start()
        (tmp_path / "p.lua").write_text(source % "two")
        entries = await asyncio.gather(*(driver.find(ONE) for _ in range(6)))
        await driver.close()
        return sorted(f"{found(entry).fields['v']}{found(entry).fields['n']}" for entry in entries)

    assert all(text.startswith("one") for text in run(whole()))
    assert found(run(passdb(tmp_path, lines, source % "two").find(ONE))).fields["v"] == "two"


def test_settings_reach_script_init_and_deinit_is_run(tmp_path: Path, lines: Lines) -> None:
    source = (
        "function script_init(a) s = a end function script_deinit() dovecot.i_info('bye ' .. s.k) end\n"
        + LOOKUP % "return 1"
    )
    driver = passdb(tmp_path, lines, source, lua_settings={"k": "v"})

    async def whole() -> None:
        await driver.find(ONE)
        await driver.close()

    run(whole())
    assert [text for _, text in lines.seen if "bye v" in text]
