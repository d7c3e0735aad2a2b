"""dict and transaction objects of scripts: Dovecot's scenario and its texts; what a failing database does to them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from kit.lua import Lines, run, text
from kit.redis import redis_server

from roost.dict.front import Dict
from roost.dict.opening import open_dict
from roost.errors import ConfigError
from roost.lua.api import dict as lua_dict
from roost.lua.script import LuaFailure, Script
from roost.settings.schema.dict import DictSettings


class Door:
    """dict NAME { } for each given driver."""

    def __init__(self, *settings: DictSettings) -> None:
        self.open = {one.name: open_dict(one) for one in settings}

    def get(self, name: str) -> Dict:
        if name not in self.open:
            raise ConfigError(f"there is no dict {name} (there are: {', '.join(self.open)})", key="dict")
        return self.open[name]

    async def close(self) -> None:
        for one in self.open.values():
            await one.close()


def call(source: str, *settings: DictSettings, given: bool = True, **lua: Any) -> tuple[Any, ...]:
    """``function test(dict) SOURCE end`` with the first dict."""

    async def whole() -> tuple[Any, ...]:
        door = Door(*(settings or (DictSettings(name="memory"), DictSettings(name="fail"))))
        script = text(f"function test(dict)\n{source}\nend", Lines(), (lua_dict.family(door),), **lua)
        await script.start()
        try:
            first = next(iter(door.open.values()))
            return await script.call("test", *((lua_dict.push(script, first),) if given else ()))
        finally:
            await script.close()
            await door.close()

    return run(whole())


SCENARIO = """
    local txn = dict:transaction_begin()
    txn:set("shared/key1", "value1")
    txn:set("shared/key2", "va\\0lue2")
    assert(dict:lookup("shared/key1") == nil)
    assert(select("#", txn:commit()) == 0)
    local all, seen = dict:lookup("shared/key1"), {}
    assert(#all == 1 and all[1] == "value1" and dict:lookup("shared/key2", "bob")[1] == "va\\0lue2")
    for key, values in dict:iterate("shared/", 0) do
      assert(type(values) == "table" and #values == 1)
      seen[key] = values[1]
    end
    assert(seen["shared/key1"] == "value1" and seen["shared/key2"] == "va\\0lue2")
    txn = dict:transaction_begin("bob", 100)
    txn:set_timestamp{tv_sec = 1631278269, tv_nsec = 999999999}
    txn:set_non_atomic()
    txn:unset("shared/key1")
    txn:set("priv/key3", "mine")
    txn:commit()
    return dict:lookup("shared/key1"), dict:lookup("priv/key3", "bob")[1]
"""


@pytest.mark.parametrize("driver", ["memory", "file", "sqlite"])
def test_the_scenario_of_dovecot(driver: str, tmp_path: Path) -> None:
    path = f"{tmp_path}/dict"
    assert call(SCENARIO, DictSettings(name=driver, file_path=path, sqlite_path=path)) == (None, "mine")


def test_the_scenario_on_redis() -> None:
    with redis_server() as path:
        settings = DictSettings(name="redis", redis_socket_path=path)
        assert call(SCENARIO, settings) == (None, "mine")
        # where Lua cannot yield, on another loop
        look = 'function(a, b) return dict:lookup("shared/key2") and a < b end'
        inside = f"local t = {{2, 1}}; table.sort(t, {look}); return t[1]"
        assert call(inside, settings) == (1,)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('dict:lookup("x")', "Invalid dict key prefix"),
        ('dict:iterate("x", 0)', "Invalid dict key prefix"),
        ('dict:transaction_begin():set("x", "")', "Invalid dict key prefix"),
        ('dict:transaction_begin():unset("x")', "Invalid dict key prefix"),
        ('dict:lookup("priv/x")', "priv/ dict key prefix requires username"),
        ('dict:lookup("priv/x", "")', "priv/ dict key prefix requires username"),
        ('dict:iterate("priv/", 0)', "priv/ dict key prefix requires username"),
        ('dict:transaction_begin():set("priv/x", "")', "priv/ dict key prefix requires username"),
        ('dict:transaction_begin():set_timestamp{tv_nsec = 1}', "tv_sec missing from table"),
        ('dict:transaction_begin():set_timestamp{tv_sec = 1}', "tv_nsec missing from table"),
        ("local t = dict:transaction_begin(); t:commit(); t:commit()", "dict transaction already committed"),
        ("local t = dict:transaction_begin(); t:commit(); t:rollback()", "dict transaction already committed"),
        ("local t = dict:transaction_begin(); t:rollback(); t:commit()", "dict transaction already aborted"),
        ("local t = dict:transaction_begin(); t:rollback(); t:rollback()", "dict transaction already aborted"),
        ('local t = dict:transaction_begin(); t:commit(); t:set("shared/x", "")', "dict transaction already committed"),
        ("dict:lookup()", "expected 2 to 3 arguments, got 1"),
        ('dict:iterate("shared/")', "expected 3 to 4 arguments, got 2"),
        ("dict.lookup({}, 'shared/x')", "Bad argument #1, expected struct dict got table"),
        ('dict:lookup({})', "bad argument #1 to 'lookup' (string expected, got table)"),
        ('dict:iterate("shared/", "x")', "bad argument #2 to 'iterate' (number expected, got string)"),
        ('dovecot.dict.open("fail"):lookup("shared/x")', "This dict always fails"),
        ('dovecot.dict.open("x")', "there is no dict x (there are: memory, fail)"),
        ('local t = dovecot.dict.open("fail"):transaction_begin(); t:unset("shared/x"); t:commit()',
         "dict transaction commit failed: This dict always fails"),
        ('for _ in dovecot.dict.open("fail"):iterate("shared/", 0) do end', "This dict always fails"),
    ],
)  # fmt: skip
def test_what_is_raised(source: str, error: str) -> None:
    with pytest.raises(LuaFailure) as caught:
        call(source)
    assert caught.value.reason.endswith(error), caught.value.reason


def test_a_failing_iteration_raises_when_it_ends_and_not_before() -> None:
    assert call(
        'local made = pcall(dovecot.dict.open("fail").iterate, dovecot.dict.open("fail"), "shared/", 0); return made'
    ) == (True,)


def test_constants_and_flags() -> None:
    source = """
    local c = dovecot.dict
    local t = dict:transaction_begin()
    for key, value in pairs{["shared/a/1"] = "3", ["shared/a/2"] = "2", ["shared/a/b/1"] = "1", ["shared/a"] = "0"} do
      t:set(key, value)
    end
    t:commit()
    local function keys(path, flags)
      local made = {}
      for key, values in dict:iterate(path, flags) do made[#made + 1] = key:sub(8) .. #values end
      return table.concat(made, " ")
    end
    return table.concat({c.ITERATE_FLAG_RECURSE, c.ITERATE_FLAG_SORT_BY_KEY, c.ITERATE_FLAG_SORT_BY_VALUE,
        c.ITERATE_FLAG_NO_VALUE, c.ITERATE_FLAG_EXACT_KEY, c.ITERATE_FLAG_ASYNC}, " "),
      keys("shared/a/", c.ITERATE_FLAG_SORT_BY_KEY),
      keys("shared/a/", c.ITERATE_FLAG_RECURSE | c.ITERATE_FLAG_SORT_BY_VALUE),
      keys("shared/a/", 2 | c.ITERATE_FLAG_NO_VALUE), keys("shared/a", c.ITERATE_FLAG_EXACT_KEY | c.ITERATE_FLAG_ASYNC)
    """
    assert call(source) == ("1 2 4 8 16 32", "a/11 a/21", "a/b/11 a/21 a/11", "a/10 a/20", "a1")


def test_octets_pass_unchanged() -> None:
    source = """
    local all = {}
    for code = 0, 255 do all[#all + 1] = string.char(code) end
    local value, key = table.concat(all), "shared/\\255\\1k\\195\\165"
    local t = dict:transaction_begin(); t:set(key, value); t:commit()
    for found in dict:iterate("shared/", 0) do assert(found == key) end
    return dict:lookup(key)[1] == value
    """
    assert call(source) == (True,)


def test_lookups_wait_beside_one_another() -> None:
    """The script is suspended, not the process: ten calls meet at one gate."""

    async def whole() -> list[tuple[Any, ...]]:
        made = open_dict(DictSettings(name="memory"))
        gate, waiting = asyncio.Event(), []

        class Slow:
            loop_bound = False

            async def lookup(self, key: Any, user: str) -> tuple[bytes, ...]:
                waiting.append(key)
                if len(waiting) == 10:
                    gate.set()
                await gate.wait()
                return (key.octets,)

        made._driver = Slow()  # type: ignore[assignment]  # only lookup is called
        script = text('function test(dict, n) return dict:lookup("shared/" .. n)[1] end', Lines(), (lua_dict.family(),))
        await script.start()
        found = await asyncio.gather(*(script.call("test", lua_dict.push(script, made), n) for n in range(10)))
        await script.close()
        return list(found)

    assert run(whole()) == [(str(n),) for n in range(10)]


def test_forgotten_transactions_are_let_go() -> None:
    async def whole() -> None:
        made = open_dict(DictSettings(name="memory"))
        loop = 'for i = 1, 100 do dict:transaction_begin():set("shared/a", "1") end collectgarbage()'
        source = f"function test(dict) {loop} end"
        script: Script = text(source, Lines(), (lua_dict.family(),))
        await script.start()
        await script.call("test", lua_dict.push(script, made))
        assert await made.lookup("shared/a") is None
        assert len(script._bridge._kept) < 50
        await script.close()

    run(whole())
