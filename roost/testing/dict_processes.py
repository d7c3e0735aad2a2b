"""The part of the dict suite that needs several processes, and what both parts use (``roost/testing/dict.py``)."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from roost import durable
from roost.dict.api import Flags, Surroundings
from roost.dict.front import Dict
from roost.dict.opening import open_dict
from roost.settings.schema.dict import DictSettings

T = TypeVar("T")

WAIT_SECS = 60
COUNT = 150


class ProcessTests:
    """The tests."""

    processes = False
    crash_points: tuple[str, ...] = ()

    def settings(self, tmp_path: Path) -> DictSettings:
        """The configuration with which ``open_dict`` opens the driver under test."""
        raise AssertionError("implement settings()")

    def run(self, tmp_path: Path, work: Callable[[Dict], Awaitable[T]], settings: DictSettings | None = None) -> T:
        raise AssertionError("DictSuite implements it")

    def test_two_processes_increase_at_once_and_lose_nothing(self, tmp_path: Path) -> None:
        if not self.processes:
            pytest.skip("this driver's data is of one process")
        self.run(tmp_path, lambda one: put(one, "alice", {"shared/n": b"0"}))
        started = [spawn(_count, self.settings(tmp_path), str(tmp_path)) for _ in range(2)]
        for process in started:
            process.join(WAIT_SECS)
            assert process.exitcode == 0

        async def work(one: Dict) -> None:
            assert await one.lookup("shared/n", "alice") == (b"%d" % (2 * COUNT),)

        self.run(tmp_path, work)

    def test_a_writer_that_is_killed_loses_nothing_acknowledged(self, tmp_path: Path) -> None:
        if not self.processes:
            pytest.skip("this driver's data is of one process")
        for point in (*self.crash_points, ""):
            reading, writing = os.pipe()
            process = spawn(_write_until_killed, self.settings(tmp_path), str(tmp_path), point, writing)
            os.close(writing)
            acknowledged = 0
            with open(reading, "rb", buffering=0) as pipe:
                while data := pipe.read(64):
                    acknowledged += len(data)
                    if acknowledged >= 20 and not point:
                        process.kill()
            process.join(WAIT_SECS)
            assert process.exitcode == -signal.SIGKILL, point
            self.run(tmp_path, partial(_check_written, acknowledged=acknowledged))


async def _check_written(one: Dict, acknowledged: int) -> None:
    rows = dict(await one.all_rows("shared/written/", Flags.NONE, "alice"))
    assert all(f"shared/written/{number}" in rows for number in range(acknowledged))
    assert len(rows) <= acknowledged + 1  # one more may have been done and not told
    for number in range(len(rows)):  # both halves of each transaction, or none
        assert await one.lookup(f"shared/both/{number}", "alice") == rows[f"shared/written/{number}"]
    change = one.transaction("alice")
    for number in range(len(rows)):
        change.unset(f"shared/written/{number}")
        change.unset(f"shared/both/{number}")
    assert (await change.commit()).ok  # the killed one holds nobody up


async def put(one: Dict, user: str, pairs: dict[str, bytes], expire_secs: int = 0) -> None:
    """Set all pairs in one transaction."""
    change = one.transaction(user, expire_secs)
    for key, value in pairs.items():
        change.set(key, value)
    result = await change.commit()
    assert result.ok, result


async def increase(one: Dict) -> bool:
    change = one.transaction("alice")
    change.atomic_inc("shared/n", 1)
    return (await change.commit()).ok


def spawn(work: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def _count(settings: DictSettings, base_dir: str) -> None:
    async def work() -> None:
        one = open_dict(settings, Surroundings(base_dir=base_dir))
        for _ in range(COUNT):
            assert await increase(one)
        await one.close()

    asyncio.run(work())


def _write_until_killed(settings: DictSettings, base_dir: str, point: str, pipe: int) -> None:
    async def work() -> None:
        one = open_dict(settings, Surroundings(base_dir=base_dir))
        if point:
            durable.arm(point, 4)
        for number in range(10_000):
            await put(
                one, "alice", {f"shared/written/{number}": b"%d" % number, f"shared/both/{number}": b"%d" % number}
            )
            os.write(pipe, b".")

    asyncio.run(work())
