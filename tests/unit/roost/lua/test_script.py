"""The life of a script: from file and text, start, calls, close; with Dovecot's texts."""

from __future__ import annotations

import gc
import hashlib
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
from kit.lua import Lines, load, run, text

from roost.errors import ConfigError
from roost.lua.api.base import Api
from roost.lua.library import Library
from roost.lua.script import LuaFailure, Script, check_file, search_path
from roost.settings.schema.lua import LuaSettings


def failure(source: str, *, function: str = "", **settings: Any) -> str:
    async def whole() -> None:
        script = text(source, Lines(), **settings)
        try:
            await script.start()
            if function:
                await script.call(function)
        finally:
            await script.close()

    with pytest.raises(LuaFailure) as caught:
        run(whole())
    return str(caught.value)


def test_the_whole_life() -> None:
    lines = Lines()

    async def whole() -> None:
        script = load("life", lines, lua_settings={"a": "1", "b": "zwölf"})
        await script.start()
        assert await script.call("told") == ("top init a=string:1,b=string:zwölf",)
        assert script.has("told") and not script.has("steps") and not script.has("hidden") and not script.has("nope")
        await script.close()
        await script.close()
        with pytest.raises(LuaFailure, match="is closed"):
            await script.call("told")

    run(whole())
    assert [line for _, line in lines.seen] == ["test: deinit top init a=string:1,b=string:zwölf"]


def test_arguments_of_init_may_be_given() -> None:
    async def whole() -> tuple[Any, ...]:
        script = load("life", Lines())
        await script.start({"k": "v"})
        return await script.call("told")

    assert run(whole()) == ("top init k=string:v",)


def test_missing_file(tmp_path: Path) -> None:
    path = str(tmp_path / "none.lua")
    with pytest.raises(LuaFailure) as caught:
        Script.from_file(path)
    assert str(caught.value) == f"Lua script '{path}': access({path}) failed: No such file or directory"


def test_syntax_error_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.lua"
    path.write_text("function (")
    with pytest.raises(LuaFailure) as caught:
        Script.from_file(str(path))
    assert str(caught.value).startswith(f"Lua script '{path}': lua_load({path}) failed: ")
    assert str(caught.value).endswith("bad.lua:1: <name> expected near '('")


def test_a_first_line_for_the_shell_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "shell.lua"
    path.write_text("#!/usr/bin/lua\nfunction f() return debug.getinfo(1, 'l').currentline end")

    async def whole() -> tuple[Any, ...]:
        script = Script.from_file(str(path))
        await script.start()
        return await script.call("f")

    assert run(whole()) == (2,)


def test_from_string() -> None:
    source = "x = 1"
    script = text(source, Lines())
    assert script.name == hashlib.sha1(source.encode()).hexdigest()
    with pytest.raises(LuaFailure, match=r"lua_load\(<string>\) failed: "):
        text("x = = 1", Lines())


def test_top_level_failure() -> None:
    told = failure("local function f() error('broken') end f()")
    assert told.startswith("lua_pcall(") and ") failed: <string>:1: broken\nstack traceback:\n" in told


def test_init_failure_still_runs_deinit() -> None:
    lines = Lines()

    async def whole() -> None:
        script = text(
            "function script_init() error('no', 0) end function script_deinit() dovecot.i_info('bye') end", lines
        )
        try:
            await script.start()
        finally:
            await script.close()

    with pytest.raises(LuaFailure, match=r"lua_pcall\(script_init, 1, 0\) failed: no"):
        run(whole())
    assert lines.seen == [("I", "test: bye")]


def test_deinit_failure_is_logged_only() -> None:
    lines = Lines()

    async def whole() -> None:
        script = text("function script_deinit() error('no', 0) end", lines)
        await script.start()
        await script.close()

    run(whole())
    assert (
        lines.seen[0][0] == "E"
        and "script_deinit() failed: lua_pcall(script_deinit, 0, 0) failed: no" in lines.seen[0][1]
    )


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("1", "Script init failed"),
        ("'x'", "script_init() returned non-number"),
        ("nil", "script_init() returned non-number"),
    ],
)
def test_init_of_2_3(result: str, told: str) -> None:
    source = f"function script_init(...) assert(select('#', ...) == 0) return {result} end"
    assert failure(source, lua_compat="2.3") == told


@pytest.mark.parametrize(
    ("function", "start"),
    [
        ("fails_with_table", "lua_pcall(fails_with_table, 0, -1) failed: (error object is a table value)"),
        ("fails_with_object", "lua_pcall(fails_with_object, 0, -1) failed: an object"),
        ("own_traceback", "lua_pcall(own_traceback, 0, -1) failed: mine: x"),
        ("hidden", "'hidden' is not a function"),
        ("nope", "'nope' is not a function"),
    ],
)
def test_failures_of_calls(function: str, start: str) -> None:
    async def whole() -> None:
        script = load("life", Lines())
        await script.start()
        await script.call(function)

    with pytest.raises(LuaFailure) as caught:
        run(whole())
    assert str(caught.value).startswith(start)


def test_tracebacks_name_the_script_only() -> None:
    async def whole() -> None:
        script = load("life", Lines())
        await script.start()
        await script.call("fails", results=2)

    with pytest.raises(LuaFailure) as caught:
        run(whole())
    told = str(caught.value)
    assert told.startswith("lua_pcall(fails, 0, 2) failed: ")
    assert "life.lua:12: deep trouble\nstack traceback:\n" in told
    assert "life.lua:12: in" in told and "[roost" not in told


def test_number_of_results() -> None:
    async def whole() -> None:
        script = load("life", Lines())
        await script.start()
        assert await script.call("many") == (1, None, 3, None)
        assert await script.call("many", results=2) == (1, None)
        assert await script.call("nothing") == ()
        assert await script.call("nothing", results=2) == (None, None)

    run(whole())


def test_scripts_share_nothing() -> None:
    async def whole() -> None:
        first, second = (
            text("n = 0 function up() n = n + 1 return n end", Lines()),
            text("n = 0 function up() n = n + 1 return n end", Lines()),
        )
        for script in (first, second):
            await script.start()
        assert await first.call("up") == (1,)
        assert await first.call("up") == (2,)
        assert await second.call("up") == (1,)

    run(whole())


def test_close_frees_the_runtime() -> None:
    class Thing:
        def method(self) -> None:
            pass

    thing = Thing()
    seen = weakref.ref(thing)

    async def whole(held: Thing) -> None:
        script = text("function f() end", Lines())
        script.register("t", {"f": held.method})
        await script.start()
        await script.close()

    run(whole(thing))
    del thing
    gc.collect()
    assert seen() is None


def test_objects_are_let_go_after_the_call() -> None:
    async def whole() -> tuple[int, int]:
        script = text("function f() for i = 1, 100 do dovecot.event() end end function one() end", Lines())
        await script.start()
        await script.call("f")
        assert await script.call("one") == ()
        return len(script._bridge._kept), script.running

    assert run(whole()) == (0, 0)


def test_python_extends_scripts() -> None:
    async def later(value: str) -> dict[str, Any]:
        return {"got": value, "list": [1, 2]}

    async def whole() -> tuple[Any, ...]:
        script = text(
            "function f() return site.A, site.inner.B, site.add(1, 2), site.later('x').got, site.deep.f() end", Lines()
        )
        script.register(
            "site",
            {
                "A": "text",
                "inner": {"B": True},
                "add": lambda a, b: a + b,
                "later": later,
                "deep": {"f": lambda: (1, 2)},
            },
        )
        await script.start()
        return await script.call("f")

    assert run(whole()) == ("text", True, 3, "x", 1, 2)


def test_an_api_may_bring_lua() -> None:
    api = Api(
        name="dovecot.mine",
        source="""
            local roost, mine, py = ...
            local meta = { __index = { get = function(self) return py.get(roost.id(self)) end } }
            function mine.new(name) return roost.new(py.new(name), meta) end
        """,
        functions={"new": lambda name: 41, "get": lambda number: number + 1},
    )

    async def whole() -> tuple[Any, ...]:
        script = text("function f() return dovecot.mine.new('x'):get() end", Lines(), (api,))
        await script.start()
        return await script.call("f")

    assert run(whole()) == (42,)


def test_settings_of_the_file() -> None:
    with pytest.raises(ConfigError, match="lua_file setting is empty"):
        check_file(LuaSettings())
    with pytest.raises(ConfigError, match="Lua doesn't support inline content for lua_file"):
        check_file(LuaSettings(lua_file="function f()\nend"))
    assert check_file(LuaSettings(lua_file="/etc/x.lua")) == "/etc/x.lua"


def test_search_path() -> None:
    assert search_path("/a:/b", system=False) == "/a/?.lua;/a/?/init.lua;/b/?.lua;/b/?/init.lua"
    assert search_path("/a/?.x", system=False) == "/a/?.x"
    assert "/usr/share/lua/5.4/?.lua" in search_path("", system=True)


def test_a_library_shares_by_path(tmp_path: Path) -> None:
    path = tmp_path / "shared.lua"
    path.write_text("n = 0 function up() n = n + 1 return n end function script_deinit() dovecot.i_info('gone') end")
    lines = Lines()

    async def start(name: str) -> Script:
        from roost.events.log import Log

        script = Script.from_file(name, log=Log("", lines))
        await script.start()
        return script

    async def whole() -> None:
        library = Library(start)
        first, second = await library.take(str(path)), await library.take(str(path))
        assert first is second
        await first.call("up")
        assert await second.call("up") == (2,)
        await library.release(first)
        assert lines.seen == []
        await library.release(second)
        assert lines.seen == [("I", "gone")]
        third = await library.take(str(path))
        assert await third.call("up") == (1,)
        await library.close()
        assert third.closed

    run(whole())


def test_old_values_of_environment_stay() -> None:
    os.environ["LUA_TEST_VALUE"] = "kept"

    async def whole() -> tuple[Any, ...]:
        script = text("function f() return os.getenv('LUA_TEST_VALUE') end", Lines())
        await script.start()
        return await script.call("f")

    try:
        assert run(whole()) == ("kept",)
    finally:
        del os.environ["LUA_TEST_VALUE"]
