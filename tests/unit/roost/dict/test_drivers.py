"""The conformance suite on every driver that ships, in each way it can be configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.redis import redis_server

from roost.settings.schema.dict import DictSettings
from roost.testing.dict import DictSuite

FILE_CRASHES = ("replace-written", "replace-synced", "replace-renamed")


class TestMemory(DictSuite):
    lasting = False

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="one", driver="memory")


class TestFile(DictSuite):
    processes = True
    crash_points = FILE_CRASHES

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="one", driver="file", file_path=f"{tmp_path}/some/folder/dict")


class TestFileOfEachUser(DictSuite):
    processes = True
    crash_points = FILE_CRASHES

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="one", driver="file", file_path=f"{tmp_path}/%{{user}}/dict")


class TestSqlite(DictSuite):
    processes = True
    crash_points = ("dict-before-commit", "dict-after-commit")

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="one", driver="sqlite", sqlite_path=f"{tmp_path}/some/folder/dict.db")


class TestSqliteInHomes(DictSuite):
    """Fewer databases are kept open than there are users."""

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="one", driver="sqlite", sqlite_path="~/dict.db", max_open_files=2)


class RedisSuite(DictSuite):
    processes = True
    full = False

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with redis_server() as self.socket:
            yield

    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(
            name="one",
            driver="redis",
            redis_socket_path=self.socket,
            redis_key_prefix="roost*[1]:",
            redis_full_keys=self.full,
        )

    async def pass_time(self, tmp_path: Path, secs: float) -> None:
        """The server has its own clock: bring every key's end nearer instead."""
        from redis.asyncio import Redis

        async with Redis(unix_socket_path=self.socket) as client:
            for name in await client.keys("*"):
                left = await client.pttl(name)
                if left > 0:
                    await client.pexpire(name, int(left - secs * 1000))


class TestRedis(RedisSuite):
    separate = False


class TestRedisWithFullKeys(RedisSuite):
    full = True
