"""Runtimes of one script: one call at a time in each, or all in one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.lua import Lines, run, text

from roost.lua.pool import Pool
from roost.lua.script import LuaFailure, Script

SOURCE = """
function f(x) value = x local got = test.gate(x) return value, got end
function which() id = id or tostring({}) return id end
function eat() local all = {} for i = 1, 1e9 do all[i] = ("x"):rep(1000) .. i end end
function script_deinit() dovecot.i_info("bye") end
"""


class Maker:
    def __init__(self, **settings: Any) -> None:
        self.gate = asyncio.Event()
        self.inside = 0
        self.lines = Lines()
        self.made = 0
        self.broken = 0
        self.settings = settings

    async def __call__(self) -> Script:
        self.made += 1
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise LuaFailure("broken")
        script = text(SOURCE, self.lines, **self.settings)
        script.register("test", {"gate": self.wait})
        await script.start()
        return script

    async def wait(self, value: Any) -> Any:
        self.inside += 1
        await self.gate.wait()
        return value


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_globals_never_interleave() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 3)
        calls = [asyncio.ensure_future(pool.call("f", number)) for number in range(10)]
        await turns()
        assert (maker.inside, maker.made, pool.runtimes) == (3, 3, 3)
        maker.gate.set()
        assert await asyncio.gather(*calls) == [(number, number) for number in range(10)]
        assert pool.runtimes == 3
        await pool.close()
        assert maker.lines.seen == [("I", "test: bye")] * 3

    run(whole())


def test_interleaved_calls_share_globals() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 3, interleave=True)
        calls = [asyncio.ensure_future(pool.call("f", number)) for number in range(10)]
        await turns()
        assert (maker.inside, maker.made, pool.runtimes) == (10, 1, 1)
        maker.gate.set()
        assert await asyncio.gather(*calls) == [(9, number) for number in range(10)]
        await pool.close()

    run(whole())


def test_runtimes_are_made_when_needed() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 3)
        await pool.start()
        assert await pool.call("which") == await pool.call("which")
        assert maker.made == 1
        await pool.close()
        with pytest.raises(LuaFailure, match="closed"):
            await pool.call("which")

    run(whole())


@pytest.mark.parametrize("interleave", [False, True])
def test_a_script_that_does_not_load_fails_calls_and_is_tried_again(interleave: bool) -> None:
    async def whole() -> None:
        maker = Maker()
        maker.broken = 2
        pool = Pool(maker, 1, interleave=interleave)
        results = await asyncio.gather(*[pool.call("which") for _ in range(4)], return_exceptions=True)
        assert [isinstance(result, LuaFailure) for result in results].count(True) == 2
        assert maker.made == 3

    run(whole())


def test_too_many_waiting() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 1, queue_limit=2)
        calls = [asyncio.ensure_future(pool.call("f", number)) for number in range(3)]
        await turns()
        with pytest.raises(LuaFailure, match="too many calls wait"):
            await pool.call("f", 4)
        maker.gate.set()
        await asyncio.gather(*calls)

    run(whole())


def test_cancelled_waiters_and_callers_give_their_turn_back() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 1)
        running = asyncio.ensure_future(pool.call("f", 1))
        await turns()
        waiting = [asyncio.ensure_future(pool.call("f", number)) for number in (2, 3)]
        await turns()
        waiting[0].cancel()
        running.cancel()
        await turns()
        maker.gate.set()
        assert await waiting[1] == (3, 3)
        assert await pool.call("f", 4) == (4, 4)

    run(whole())


@pytest.mark.parametrize("interleave", [False, True])
def test_a_runtime_without_memory_is_replaced(interleave: bool) -> None:
    async def whole() -> None:
        maker = Maker(lua_trust="restricted", lua_max_memory_octets=2 << 20, lua_instruction_limit=0)
        pool = Pool(maker, 1, interleave=interleave)
        with pytest.raises(LuaFailure, match="not enough memory"):
            await pool.call("eat")
        assert pool.runtimes == 0
        await pool.call("which")
        assert maker.made == 2
        await pool.close()

    run(whole())


def test_closing_fails_those_who_wait() -> None:
    async def whole() -> None:
        maker = Maker()
        pool = Pool(maker, 1)
        calls = [asyncio.ensure_future(pool.call("f", number)) for number in range(3)]
        await turns()
        await pool.close()
        maker.gate.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, LuaFailure) for result in results)

    run(whole())
