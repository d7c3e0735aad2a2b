"""Host operations suspend the script wherever Lua lets them, and work where it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.lua import LUA_5_3, Lines, load, run, text

from roost.errors import Unavailable
from roost.lua.api.base import Api, ScriptError
from roost.lua.script import LuaFailure, Script


async def op(value: Any) -> str:
    await asyncio.sleep(0)
    return f"<{value}>"


async def pair() -> tuple[Any, ...]:
    return 1, None, "three"


async def fail() -> None:
    await asyncio.sleep(0)
    raise ScriptError("it failed")


async def bug() -> None:
    raise ValueError("secret detail")


MEMBERS: dict[str, Any] = {"op": op, "pair": pair, "fail": fail, "bug": bug, "echo": lambda value: value}


async def started(lines: Lines, **settings: Any) -> Script:
    script = load("yields", lines, (Api(name="test", members=MEMBERS),), **settings)
    await script.start()
    return script


def call(function: str, *values: Any, lines: Lines | None = None, **settings: Any) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = await started(lines or Lines(), **settings)
        try:
            return await script.call(function, *values)
        finally:
            await script.close()

    return run(whole())


CASES: list[tuple[str, tuple[Any, ...]]] = [
    ("pair", (1, None, "three")),
    ("several", ("<1><2><3><4><5>",)),
    ("in_pcall", (True, "<a>", "<b>")),
    ("failing", (False, "it failed")),
    ("after_failure", ("<still>",)),
    ("in_xpcall", (False, "handled bad")),
    ("in_metatable", ("<key>", "<add>", "<call>", "<cat>", True)),
    ("in_iterator", ("1,2,3",)),
    ("in_coroutine", ("<one>", "<two>", "dead", False, "cannot resume dead coroutine")),
    ("in_wrap", ("<deep>", "plain")),
    ("wrap_error", (False, "inside")),
    ("in_sort", ("123",)),
    ("in_gsub", ("<a><b><c>",)),
    ("in_sort_in_coroutine", ("<12>",)),
    ("isyieldable", (False, True, True)),
    *([] if LUA_5_3 else [("in_close", ("<body><closed>",))]),
]


@pytest.mark.parametrize("trust", ["full", "restricted"])
@pytest.mark.parametrize(("function", "result"), CASES, ids=[name for name, _ in CASES])
def test_operations_anywhere(function: str, result: tuple[Any, ...], trust: str) -> None:
    assert call(function, lua_trust=trust) == result


def test_a_failure_is_raised_without_a_position() -> None:
    with pytest.raises(LuaFailure) as caught:
        call("failing_uncaught")
    assert caught.value.reason == "it failed"
    assert str(caught.value).startswith("lua_pcall(failing_uncaught, 0, -1) failed: it failed\nstack traceback:\n")
    assert "yields.lua" in str(caught.value) and "[roost" not in str(caught.value)


def test_yielding_out_of_a_plain_call_is_an_error() -> None:
    with pytest.raises(LuaFailure, match="attempt to yield from outside a coroutine"):
        call("foreign_yield")


def test_tables_cross_both_ways() -> None:
    assert call("tables", {"k": ["v", 2]}) == ({"k": {1: "v", 2: 2}}, {1: 1, 2: {"a": "b"}, "x": True})


@pytest.mark.parametrize("data", [b"\x00\xff\xfe", "ümläut €".encode(), bytes(range(256))])
def test_strings_are_octets(data: bytes) -> None:
    length, echoed = call("binary", data)
    assert length == len(data)
    assert echoed.encode("utf-8", "surrogateescape") == data


def test_a_bug_in_python_is_told_to_the_log_only() -> None:
    lines = Lines()
    assert call("python_bug", lines=lines) == (False, "internal error")
    assert any("ValueError" in line for _, line in lines.seen)


def test_roost_errors_raise_their_client_text() -> None:
    async def down() -> None:
        raise Unavailable("try later", detail="10.0.0.1 refused")

    async def whole() -> tuple[Any, ...]:
        script = text("function f() return pcall(t.down) end", Lines())
        script.register("t", {"down": down})
        await script.start()
        return await script.call("f")

    assert run(whole()) == (False, "try later")


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_hundreds_of_calls_wait_at_once(trust: str) -> None:
    count = 500

    async def whole() -> None:
        gate = asyncio.Event()
        waiting = 0
        all_in = asyncio.Event()

        async def wait(value: int) -> int:
            nonlocal waiting
            waiting += 1
            if waiting == count:
                all_in.set()
            await gate.wait()
            return value * 2

        script = await started(Lines(), lua_trust=trust)
        script.register("test", {"gate": wait})
        calls = [asyncio.ensure_future(script.call("hold", number)) for number in range(count)]
        await all_in.wait()
        assert script.running == count
        gate.set()
        assert [result for (result,) in await asyncio.gather(*calls)] == [number * 2 for number in range(count)]
        assert script.running == 0
        await script.close()

    run(whole())


def test_above_the_limit_a_call_is_refused() -> None:
    async def whole() -> None:
        gate = asyncio.Event()

        async def wait(value: int) -> int:
            await gate.wait()
            return value

        script = await started(Lines(), lua_max_calls=2)
        script.register("test", {"gate": wait})
        calls = [asyncio.ensure_future(script.call("hold", number)) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LuaFailure, match="lua_max_calls"):
            await script.call("hold", 3)
        gate.set()
        await asyncio.gather(*calls)

    run(whole())


def test_a_cancelled_call_is_dropped_and_the_script_lives() -> None:
    async def whole() -> None:
        gate = asyncio.Event()

        async def wait(value: int) -> int:
            await gate.wait()
            return value

        script = await started(Lines())
        script.register("test", {"gate": wait})
        task = asyncio.ensure_future(script.call("hold", 1))
        await asyncio.sleep(0)
        assert script.running == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert script.running == 0
        assert await script.call("plain", "x") == ("<x>",)
        await script.close()

    run(whole())


def test_closing_fails_what_waits() -> None:
    async def whole() -> None:
        gate = asyncio.Event()

        async def wait(value: int) -> dict[str, int]:
            await gate.wait()
            return {"v": value}

        script = await started(Lines())
        script.register("test", {"gate": wait})
        task = asyncio.ensure_future(script.call("hold", 1))
        await asyncio.sleep(0)
        await script.close()
        gate.set()
        with pytest.raises(LuaFailure, match="closed"):
            await task

    run(whole())


def test_a_blocking_form_replaces_the_operation_where_lua_cannot_yield() -> None:
    async def whole() -> tuple[Any, ...]:
        script = text(
            "function f() return (('a'):gsub('.', function(c) return t.f(c) end)), t.f('b') end",
            Lines(),
            (
                Api(
                    name="t",
                    source='local roost, t = ... function t.f(x) return roost.host("t.f", x) end',
                    hosts={"t.f": op},
                    blocking={"t.f": lambda value: f"[{value}]"},
                ),
            ),
        )
        await script.start()
        return await script.call("f")

    assert run(whole()) == ("[a]", "<b>")
