"""last_login: times in a dict, written behind the logins' back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from roost.clients.last_login import AT_ONCE, LastLogin
from roost.dict.api import Batch, CommitResult, Flags
from roost.dict.drivers.memory import MemoryDriver
from roost.dict.front import Dict
from roost.dict.opening import open_dict
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.dict import DictSettings
from roost.settings.schema.last_login import LastLoginSettings


class Lines(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def line(self, level: str, prefix: str, text: str) -> None:
        self.said.append(text)


class World:
    def __init__(self, **settings: Any) -> None:
        self.lines = Lines()
        self.now_ns = 1_700_000_000_123_456_789
        self.commits: list[int] = []
        self.fault: Exception | None = None
        self.dict = open_dict(DictSettings(name="memory"))
        self._count(self.dict)
        self.tasks: list[asyncio.Task[None]] = []
        self.spawned = asyncio.Event()
        self.times = LastLogin(
            self.dict, LastLoginSettings(**settings), Log("", self.lines), self.spawn, lambda: self.now_ns
        )

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(asyncio.ensure_future(coro))
        self.spawned.set()

    def _count(self, store: Dict) -> None:
        driver = store._driver
        assert isinstance(driver, MemoryDriver)
        apply = driver.apply

        async def counted(batch: Batch) -> CommitResult:
            self.commits.append(len(batch.changes))
            if self.fault is not None:
                raise self.fault
            return await apply(batch)

        driver.apply = counted  # type: ignore[method-assign]  # watched

    def note(self, user: str, **more: str) -> None:
        self.times.note(user, {"user": user, "service": "imap", **more})

    async def rows(self) -> dict[str, bytes]:
        return {key: values[0] for key, values in await self.dict.all_rows("shared/", Flags.RECURSE)}


@pytest.mark.parametrize(
    ("precision", "value"),
    [("s", b"1700000000"), ("ms", b"1700000000123"), ("us", b"1700000000123456"), ("ns", b"1700000000123456789")],
)
def test_the_time_in_the_wanted_unit(precision: str, value: bytes) -> None:
    async def whole() -> None:
        world = World(last_login_precision=precision)
        world.note("anna@example.org")
        assert world.commits == []
        await world.times.close()
        assert await world.rows() == {"shared/last-login/anna@example.org": value}

    asyncio.run(whole())


def test_times_of_one_user_become_one_and_many_users_one_transaction() -> None:
    async def whole() -> None:
        world = World()
        for _ in range(5):
            world.now_ns += 1_000_000_000
            world.note("anna")
        for number in range(AT_ONCE):
            world.note(f"u{number}")
        await world.times.close()
        assert world.commits == [AT_ONCE, 1]
        rows = await world.rows()
        assert len(rows) == AT_ONCE + 1
        assert rows["shared/last-login/anna"] == b"1700000005"

    asyncio.run(whole())


def test_it_is_written_without_being_asked_again() -> None:
    async def whole() -> None:
        world = World()
        world.note("anna")
        async with asyncio.timeout(10):
            await world.spawned.wait()
        await asyncio.gather(*world.tasks)
        assert list(await world.rows()) == ["shared/last-login/anna"]

    asyncio.run(whole())


def test_a_user_cannot_write_under_anothers_key() -> None:
    async def whole() -> None:
        world = World(last_login_key="last-login/%{service}/%{user}")
        world.note("../bob/x\\y")
        await world.times.close()
        assert list(await world.rows()) == ["shared/last-login/imap/..\\|bob\\|x\\\\y"]

    asyncio.run(whole())


def test_further_fields() -> None:
    async def whole() -> None:
        world = World(last_login_dict_fields={"last-ip/%{user}": "%{remote_ip}"})
        world.note("anna", remote_ip="192.0.2.7")
        await world.times.close()
        assert (await world.rows())["shared/last-ip/anna"] == b"192.0.2.7"

    asyncio.run(whole())


def test_the_table_is_bounded_and_complaints_are_rare() -> None:
    async def whole() -> None:
        world = World(last_login_max_waiting=3)
        for number in range(10):
            world.note(f"u{number}")
        world.note("u0")
        await world.times.close()
        assert len(await world.rows()) == 3
        assert world.lines.said == [
            "last_login: too many times wait for the dict, some are lost (last_login_max_waiting)"
        ]

    asyncio.run(whole())


def test_a_dict_that_fails_and_a_key_that_cannot_be() -> None:
    async def whole() -> None:
        world = World()
        world.fault = Unavailable("down")
        for number in range(3):
            world.note(f"u{number}")
            await world.times.flush()
        assert world.lines.said == ["last_login: down"]
        world.fault = None
        world.note("x" * 5000)
        world.note("anna")
        await world.times.close()
        assert list(await world.rows()) == ["shared/last-login/anna"]

    asyncio.run(whole())


def test_an_unknown_variable_is_no_failed_login() -> None:
    async def whole() -> None:
        world = World(last_login_key="x/%{nonsense}")
        world.note("anna")
        await world.times.close()
        assert "nonsense" in world.lines.said[0]

    asyncio.run(whole())
