"""Coroutines that become tasks only when they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from kit.worker import LOOPS, run, until

from roost.net.inline import Coming, Direct, run_direct, run_inline


@pytest.mark.parametrize("kind", LOOPS)
def test_what_does_not_wait_costs_no_task(kind: str) -> None:
    async def main() -> None:
        seen = []

        async def quick() -> None:
            seen.append(asyncio.all_tasks())

        assert run_inline(asyncio.get_running_loop(), quick()) is None
        assert seen[0] == asyncio.all_tasks()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_errors_before_the_first_wait_are_raised_here(kind: str) -> None:
    async def main() -> None:
        async def broken() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            run_inline(asyncio.get_running_loop(), broken())

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_it_goes_on_where_it_stopped(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()
        steps = []

        async def inner() -> int:
            steps.append("inner")
            return await first + await second

        async def outer() -> int:
            steps.append("outer")
            value = await inner()
            steps.append("done")
            await asyncio.sleep(0)
            assert asyncio.current_task() is task
            return value

        task = run_inline(loop, outer())
        assert task is not None and steps == ["outer", "inner"]
        first.set_result(1)
        await asyncio.sleep(0)
        second.set_result(2)
        assert await task == 3
        assert steps == ["outer", "inner", "done"]

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_future_done_before_the_tasks_first_step(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def waits() -> str:
            return str(await future)

        task = run_inline(loop, waits())
        future.set_result("early")
        assert task is not None and await task == "early"

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_cancelling_runs_the_finally(kind: str, turns: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        seen = []

        async def waits() -> None:
            try:
                await future
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                seen.append("cleaned")

        task = run_inline(loop, waits())
        assert task is not None
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled", "cleaned"]
        assert future.cancelled()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_an_error_set_on_the_future_arrives(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def waits() -> str:
            try:
                await future
            except OSError as exc:
                return f"caught {exc}"
            return "no"

        task = run_inline(loop, waits())
        future.set_exception(OSError("gone"))
        assert task is not None and await task == "caught gone"

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_bare_yield_works_too(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = []

        async def yields() -> None:
            seen.append(1)
            await asyncio.sleep(0)
            seen.append(2)

        task = run_inline(loop, yields())
        assert task is not None and seen == [1]
        await until(task.done)
        assert seen == [1, 2]

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_waiting_for_a_task_and_for_the_pool(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def one() -> int:
            await asyncio.sleep(0)
            return 1

        async def waits() -> int:
            async with asyncio.Lock():
                found = await asyncio.gather(one(), loop.run_in_executor(None, lambda: 2))
            return sum(found)

        task = run_inline(loop, waits())
        assert task is not None and await task == 3

    run(kind, main)


def _now(step: Callable[[], None]) -> None:
    step()


@pytest.mark.parametrize("kind", LOOPS)
def test_a_coming_value_is_taken_at_once(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second, third = Coming[int](), Coming[int](), loop.create_future()
        seen: list[object] = []

        async def waits() -> None:
            seen.append(await first)
            with pytest.raises(KeyError):
                await second
            seen.append("error")
            seen.append(await third)

        direct = run_direct(loop, waits(), _now)
        assert isinstance(direct, Direct)
        direct.add_done_callback(lambda ended: seen.append(ended.exception()))
        first.set_result(1)
        assert seen == [1]
        second.set_exception(KeyError("x"))
        assert seen == [1, "error"] and not direct.done()
        third.set_result(3)
        await until(direct.done)
        assert seen == [1, "error", 3, None]

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_what_a_direct_coroutine_raises_is_kept(kind: str) -> None:
    async def main() -> None:
        coming = Coming[int]()

        async def broken() -> None:
            await coming
            raise KeyError("x")

        direct = run_direct(asyncio.get_running_loop(), broken(), _now)
        assert direct is not None
        coming.set_result(1)
        assert direct.done() and isinstance(direct.exception(), KeyError) and not direct.cancelled()
        with pytest.raises(asyncio.InvalidStateError):
            coming.set_result(2)

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_direct_coroutine_is_cancelled_where_it_waits(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for stop_at in (Coming[int](), loop.create_future()):
            seen: list[str] = []
            begun = Coming[int]()

            async def waits(begun: Coming[int], stop_at: Awaitable[int], seen: list[str]) -> None:
                await begun
                try:
                    await stop_at
                finally:
                    seen.append("left")

            direct = run_direct(loop, waits(begun, stop_at, seen), _now)
            assert isinstance(direct, Direct)
            begun.set_result(1)
            direct.cancel()
            assert seen == []
            await until(direct.done)
            assert seen == ["left"] and direct.cancelled()
            if isinstance(stop_at, Coming):
                stop_at.set_result(2)  # nobody waits any more

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_in_a_task_a_coming_value_is_a_future(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        inside, outside = Coming[int](), Coming[int]()
        begun = loop.create_future()

        async def waits(coming: Coming[int]) -> int:
            return await coming

        async def starts() -> None:
            begun.set_result(run_inline(loop, waits(inside)))

        task = loop.create_task(waits(outside))
        assert run_direct(loop, starts(), _now) is None
        started = await begun
        assert isinstance(started, asyncio.Task)
        outside.set_result(5)
        inside.set_result(6)
        assert not task.done() and not started.done()
        assert (await task, await started) == (5, 6)

    run(kind, main)
