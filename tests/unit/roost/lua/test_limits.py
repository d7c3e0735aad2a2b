"""What a hostile or broken script can do: harm its own call, nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from kit.lua import LUA_5_3, Lines, load, run, text

from roost.lua.script import LuaFailure, Script

LIMITS: dict[str, Any] = {
    "lua_trust": "restricted",
    "lua_max_memory_octets": 8 << 20,
    "lua_instruction_limit": 1_000_000,
}


async def op(value: Any) -> Any:
    return value


async def wait(size: int) -> str:
    return "y" * size


def data(size: int) -> str:
    return "z" * size


def table(size: int) -> dict[int, str]:
    return {number: f"value {number}" for number in range(size)}


async def started(**settings: Any) -> Script:
    script = load("limits", Lines(), **settings)
    script.register("test", {"op": op, "wait": wait, "data": data, "table": table})
    await script.start()
    return script


def outcome(function: str, **settings: Any) -> Any:
    """The call's results, or the reason of its failure; afterwards the script must still work."""

    async def whole() -> Any:
        script = await started(**(settings or LIMITS))
        try:
            try:
                return await script.call(function)
            except LuaFailure as error:
                return error.reason
            finally:
                await script.call("forget")
                assert await script.call("fine") == ("fine",)
        finally:
            await script.close()

    return run(whole())


@pytest.mark.parametrize(
    "function",
    [
        "loop",
        "loop_in_pcall",
        "loop_in_xpcall",
        "loop_in_sort",
        "loop_in_gsub",
        "loop_in_coroutine",
        "loop_in_pcall_in_coroutine",
        "loop_of_coroutines",
        "loop_in_tostring",
        *([] if LUA_5_3 else ["loop_in_close"]),
        "loop_in_api",
        "loop_after_wait",
    ],
)
def test_endless_loops_end(function: str) -> None:
    assert outcome(function) == "instruction limit reached"


def test_an_error_object_that_never_becomes_text() -> None:
    assert outcome("loop_in_error") == "(error object is a table value)"


@pytest.mark.parametrize(
    "function",
    [
        "eat",
        "eat_strings",
        "eat_rep_some",
        "eat_in_coroutine",
        "eat_globals",
        "eat_while_calling",
        "eat_while_waiting",
        "eat_tables",
    ],
)
def test_memory_ends(function: str) -> None:
    assert "not enough memory" in outcome(function, **{**LIMITS, "lua_instruction_limit": 0})


def test_a_script_may_catch_the_end_of_memory() -> None:
    assert outcome("eat_in_pcall") == (False, "not enough memory")


def test_gigabytes_at_once() -> None:
    assert "resulting string too large" in outcome("eat_rep") or outcome("eat_rep") == "not enough memory"


def test_results_of_any_size_below_the_limit() -> None:
    assert len(outcome("big_result")[0]) == 20000


@pytest.mark.parametrize("function", ["recurse", "recurse_metatable", "recurse_gsub"])
def test_recursion_ends(function: str) -> None:
    for settings in (LIMITS, {"lua_trust": "full"}):
        assert "overflow" in outcome(function, **settings) or "not enough memory" in outcome(function, **settings)


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_exit_is_an_error(trust: str) -> None:
    settings = {**LIMITS, "lua_trust": trust}
    assert outcome("exit", **settings).endswith("os.exit is not allowed in a script")
    assert outcome("exit_hidden", **settings) == (False, "os.exit is not allowed in a script")


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_binary_chunks_are_refused(trust: str) -> None:
    settings = {**LIMITS, "lua_trust": trust}
    assert outcome("bytecode", **settings) == (None, "attempt to load a binary chunk (mode is 't')")
    assert outcome("bytecode_mode", **settings)[0] is None
    with pytest.raises(LuaFailure, match="attempt to load a binary chunk"):
        text("\x1bLua...", Lines(), **settings)


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_nothing_of_python_is_in_reach(trust: str) -> None:
    reached = outcome("python_reach", **{**LIMITS, "lua_trust": trust})[0]
    assert all("io." in path or path.endswith(("stdin", "stdout", "stderr")) for path in reached.split()), reached


def test_what_a_restricted_script_sees() -> None:
    names, same = outcome("globals")
    seen = set(names.values())
    assert same
    assert not seen & {"python", "io", "package.loadlib", "dofile", "loadfile"}

    async def whole() -> tuple[Any, ...]:
        script = text(
            """function f() return io, dofile, loadfile, os.execute, os.remove, package.loadlib, debug.sethook,
            debug.getregistry, string.dump, pcall(collectgarbage, 'stop') end""",
            Lines(),
            **LIMITS,
        )
        await script.start()
        return await script.call("f")

    *absent, stopped, why = run(whole())
    assert absent == [None] * 9
    assert not stopped and "not allowed" in why


def test_load_stays_inside() -> None:
    assert outcome("load_is_inside") == (5, True)


def test_the_metatable_of_strings_is_hidden_and_finalizers_are_refused() -> None:
    assert outcome("string_methods") == (None, False)
    assert "__gc is not allowed" in outcome("gc_metatable")
    assert outcome("gc_later") == (None,)


def test_printing_binary_harms_nobody() -> None:
    assert outcome("print_binary") == ("printed",)


def test_a_full_script_may_extend_strings() -> None:
    async def whole() -> tuple[Any, ...]:
        script = text(
            "function string.shout(s) return s:upper() .. '!' end function f() return ('a'):shout() end", Lines()
        )
        await script.start()
        return await script.call("f")

    assert run(whole()) == ("A!",)


HAMMER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from kit.lua import Lines, load
from roost.lua.script import LuaFailure

async def main():
    script = load("limits", Lines(), lua_trust="restricted", lua_max_memory_octets=1 << 20, lua_instruction_limit=0)
    async def wait(size): return "y" * size
    async def op(value): return value
    script.register("test", {"op": op, "wait": wait, "data": lambda n: "z" * n,
                             "table": lambda n: {i: "value %d" % i for i in range(n)}})
    await script.start()
    failed = 0
    for turn in range(60):
        for name in ("eat_tables", "eat_while_calling", "eat_while_waiting", "eat_globals"):
            try:
                await script.call(name)
            except LuaFailure:
                failed += 1
        try:
            await script.call("fine")  # the heap is full now: it may fail, it must not end the process
        except LuaFailure:
            pass
        if turn % 3 == 0:
            await script.call("forget")
    print(failed)

asyncio.run(main())
"""


def test_a_heap_at_its_limit_never_ends_the_process() -> None:
    kit = os.path.join(os.path.dirname(__file__), "../../..")
    done = subprocess.run(
        [sys.executable, "-c", HAMMER, kit], capture_output=True, timeout=60, text=True, check=False, cwd=os.getcwd()
    )
    assert done.returncode != -signal.SIGABRT, done.stderr
    assert (done.returncode, done.stdout.strip()) == (0, "240"), done.stderr
