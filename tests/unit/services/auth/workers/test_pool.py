"""The auth room's side of the workers, against workers that say what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from kit.wait import nothing_happens, until

from roost.auth.api import Query
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.ipc import auth_worker as wire
from roost.ipc.handshake import version_line
from roost.ipc.lines import LineSplitter
from roost.settings.schema.auth import PassdbSettings
from roost.util.secret import Secret
from services.auth.workers.pool import WorkerPool
from services.auth.workers.proxy import WorkerPassdb

HASHES = ("p", "u")


class FakeWorker(asyncio.Protocol):
    """Greets; keeps the requests; answers when told."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.requests: dict[int, wire.Request] = {}
        self.cancelled: list[int] = []
        self.closed = False
        self._lines = LineSplitter(wire.MAX_LINE_OCTETS)
        self._seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.house.workers.append(self)
        if not self.house.mute:
            self.say(version_line(wire.WORKER, 1, 0) + wire.limit_line(30))

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._seen += 1
            if self._seen == 1:
                assert line == version_line(wire.MASTER, 1, 0)[:-1]
            elif self._seen == 2:
                good = wire.parse_hashes(line) == self.house.hashes
                self.say(wire.state_line(wire.SUCCESS if good else wire.RESTART))
                if not good:
                    self.transport.close()
            else:
                request = wire.parse_request(line)
                if request.command == wire.CANCEL:
                    self.cancelled.append(request.id)
                else:
                    self.requests[request.id] = request

    def connection_lost(self, exc: BaseException | None) -> None:
        self.closed = True

    def say(self, line: bytes) -> None:
        self.transport.write(line)

    def answer(self, user: str, word: str = wire.OK, result: int = 1, **fields: str) -> None:
        request = next(one for one in self.requests.values() if one.arguments.get("user") == user)
        del self.requests[request.id]
        self.say(wire.reply_line(wire.Reply(request.id, word, result, fields={"by": user, **fields})))

    def users(self) -> list[str]:
        return [one.arguments["user"] for one in self.requests.values()]


class House:
    """The socket where workers are found."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.hashes = HASHES
        self.mute = False

    @property
    def alive(self) -> list[FakeWorker]:
        return [one for one in self.workers if not one.closed]

    def of(self, user: str) -> FakeWorker | None:
        return next((one for one in self.alive if user in one.users()), None)

    async def has(self, user: str) -> FakeWorker:
        await until(lambda: self.of(user), f"{user} is asked")
        found = self.of(user)
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def pool_of(
    folder: Path, *, limit: int = 3, queue: int = 100, timeout_secs: float = 10.0, idle_secs: float = 300.0
) -> AsyncIterator[tuple[WorkerPool, House, Path]]:
    loop = asyncio.get_running_loop()
    house = House()
    path = str(folder / "s")
    server = await loop.create_unix_server(lambda: FakeWorker(house), path)
    with open(folder / "log", "wb", buffering=0) as out:
        pool = WorkerPool(
            loop,
            Log("auth: ", Sink(out.fileno())),
            path,
            limit=limit,
            queue_limit=queue,
            timeout_secs=timeout_secs,
            idle_secs=idle_secs,
            hashes=HASHES,
        )
        try:
            yield pool, house, folder / "log"
        finally:
            pool.close()
            server.close()
            for worker in house.alive:
                worker.transport.close()
            await nothing_happens(0.01)


def ask(pool: WorkerPool, user: str, concurrent: int = 1) -> asyncio.Task[wire.Reply]:
    tail = wire.request_tail(wire.PASSV, "db", {"user": user}, secret=b"secret")
    return asyncio.ensure_future(pool.ask(f"PASSV({user})", tail, concurrent=concurrent))


def test_one_at_a_time_and_no_more_than_the_limit(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, limit=2) as (pool, house, _):
            tasks = [ask(pool, f"u{number}") for number in range(5)]
            await until(lambda: sum(len(one.requests) for one in house.workers) == 2)
            await nothing_happens()
            assert [len(one.requests) for one in house.workers] == [1, 1]
            for number in range(5):
                (await house.has(f"u{number}")).answer(f"u{number}")
            assert [(await task).fields["by"] for task in tasks] == [f"u{number}" for number in range(5)]
            assert len(house.workers) == 2

    asyncio.run(main())


def test_many_share_one_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            tasks = [ask(pool, f"u{number}", 50) for number in range(120)]
            await until(lambda: sum(len(one.requests) for one in house.workers) == 120)
            assert max(len(one.requests) for one in house.workers) <= 50
            for number in range(120):
                (await house.has(f"u{number}")).answer(f"u{number}")
            await asyncio.gather(*tasks)

    asyncio.run(main())


def test_who_needs_a_worker_alone_gets_one_in_the_end(tmp_path: Path) -> None:
    """The only worker is busy with shared requests that keep coming: it is reserved, runs empty, and is his."""

    async def main() -> None:
        async with pool_of(tmp_path, limit=1) as (pool, house, _):
            first = ask(pool, "shared1", 10)
            worker = await house.has("shared1")
            alone = ask(pool, "alone")
            later = [ask(pool, f"later{number}", 10) for number in range(3)]
            await nothing_happens()
            assert worker.users() == ["shared1"]
            worker.answer("shared1")
            await house.has("alone")
            assert worker.users() == ["alone"]
            worker.answer("alone")
            for number in range(3):
                (await house.has(f"later{number}")).answer(f"later{number}")
            await asyncio.gather(first, alone, *later)

    asyncio.run(main())


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, limit=1, queue=3) as (pool, house, _):
            tasks = [ask(pool, "u0")]
            await house.has("u0")
            tasks += [ask(pool, f"u{number}") for number in range(1, 4)]
            await nothing_happens(0)
            with pytest.raises(Unavailable, match="busy"):
                await ask(pool, "u9")
            for task in tasks:
                task.cancel()

    asyncio.run(main())


def test_time_is_up_for_one_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, timeout_secs=0.3) as (pool, house, log):
            slow = ask(pool, "slow", 10)
            worker = await house.has("slow")
            with pytest.raises(Unavailable, match="in time"):
                await slow
            await until(lambda: worker.cancelled)
            assert not worker.closed
            quick = ask(pool, "quick", 10)
            (await house.has("quick")).answer("quick")
            assert (await quick).word == wire.OK
            worker.answer("slow", wire.FAIL, -1)  # late; nobody waits
            assert "PASSV(slow): no answer" in log.read_text() and "secret" not in log.read_text()

    asyncio.run(main())


def test_nobody_is_free_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, limit=1, timeout_secs=0.3) as (pool, house, log):
            busy = ask(pool, "busy", 1)
            await house.has("busy")
            with pytest.raises(Unavailable):
                await ask(pool, "waits")
            assert "PASSV(waits): no auth-worker was free" in log.read_text()
            busy.cancel()

    asyncio.run(main())


def test_an_asker_that_leaves(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, limit=1) as (pool, house, _):
            first, second, third = ask(pool, "u1"), ask(pool, "u2"), ask(pool, "u3")
            worker = await house.has("u1")
            second.cancel()
            first.cancel()
            await until(lambda: worker.cancelled)
            await nothing_happens()
            assert worker.users() == ["u1"], "its place is taken until the worker says it is not"
            worker.answer("u1", wire.FAIL, -1)
            (await house.has("u3")).answer("u3")
            assert (await third).fields["by"] == "u3"

    asyncio.run(main())


def test_a_death_is_survived_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, log):
            task = ask(pool, "u1")
            (await house.has("u1")).transport.abort()
            await until(lambda: len(house.workers) == 2)
            (await house.has("u1")).answer("u1")
            assert (await task).word == wire.OK
            task = ask(pool, "u2")
            for _ in range(2):
                (await house.has("u2")).transport.abort()
                await nothing_happens(0.02)
            with pytest.raises(Unavailable, match="died"):
                await task
            assert "as another did before" in log.read_text()

    asyncio.run(main())


def test_the_innocent_do_not_share_the_guilty_ones_fate(tmp_path: Path) -> None:
    """A worker with many requests dies; asked again, each group is small, and newcomers stay away from it."""

    async def main() -> None:
        async with pool_of(tmp_path, limit=20) as (pool, house, _):
            tasks = {f"u{number}": ask(pool, f"u{number}", 100) for number in range(32)}
            await until(lambda: house.workers and len(house.workers[0].requests) == 32)
            house.workers[0].transport.abort()
            await until(lambda: house.workers[0].closed)
            await until(lambda: sum(len(one.requests) for one in house.alive) == 32)
            assert max(len(one.requests) for one in house.alive) == 2
            tasks["new"] = ask(pool, "new", 100)
            assert (await house.has("new")).users() == ["new"]
            guilty = await house.has("u7")
            fellows = guilty.users()
            guilty.transport.abort()
            await until(lambda: guilty.closed)
            for worker in house.alive:
                for user in worker.users():
                    worker.answer(user)
            failed = [user for user, task in tasks.items() if (await asyncio.wait([task])) and task.exception()]
            assert sorted(failed) == sorted(fellows) and len(failed) == 2

    asyncio.run(main())


def test_another_configuration_is_not_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            house.hashes = ("other", "u")
            task = ask(pool, "u1")
            await until(lambda: len(house.workers) >= 2)
            assert not any(one.requests for one in house.workers)
            house.hashes = HASHES
            (await house.has("u1")).answer("u1")
            assert (await task).word == wire.OK

    asyncio.run(main())


def test_a_worker_that_wants_to_go_is_let_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            one, two = ask(pool, "u1", 10), ask(pool, "u2", 10)
            worker = await house.has("u1")
            await house.has("u2")
            worker.answer("u1")
            worker.say(wire.state_line(wire.RESTART))
            await one
            three = ask(pool, "u3", 10)
            other = await house.has("u3")
            assert other is not worker and not worker.closed
            worker.answer("u2")
            await two
            await until(lambda: worker.closed)
            other.answer("u3")
            await three

    asyncio.run(main())


def test_idle_workers_are_let_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, idle_secs=0.1) as (pool, house, _):
            task = ask(pool, "u1")
            (await house.has("u1")).answer("u1")
            await task
            await until(lambda: not house.alive, "the idle worker is gone")

    asyncio.run(main())


def test_nobody_listens(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, _house, _):
            (tmp_path / "s").unlink()
            with pytest.raises(Unavailable, match="Can't connect"):
                await ask(pool, "u1")

    asyncio.run(main())


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"VERSION\tauth-worker\t2\t0\n", b"VERSION\tanvil-server\t1\t0\n", b"x" * (2 << 20)]
)
def test_what_is_no_worker(tmp_path: Path, line: bytes) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, timeout_secs=0.4) as (pool, house, _):
            house.mute = True
            task = ask(pool, "u1")
            await until(lambda: house.workers)
            house.workers[0].say(line)
            await until(lambda: house.workers[0].closed)
            with pytest.raises(Unavailable):
                await task

    asyncio.run(main())


def test_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path, limit=1) as (pool, house, _):
            tasks = [ask(pool, "u1"), ask(pool, "u2")]
            await house.has("u1")
            pool.close()
            for task in tasks:
                with pytest.raises(Unavailable):
                    await task
            with pytest.raises(Unavailable, match="ends"):
                await ask(pool, "u3")

    asyncio.run(main())


def lister(pool: WorkerPool) -> AsyncIterator[str]:
    return pool.names("LIST", wire.request_tail(wire.LIST, "db", {"user": "list"}))


async def listing(pool: WorkerPool, house: House, feed: Callable[[FakeWorker, int], None]) -> list[str]:
    async def take() -> list[str]:
        return [name async for name in lister(pool)]

    task = asyncio.ensure_future(take())
    worker = await house.has("list")
    feed(worker, next(iter(worker.requests)))
    return await task


def test_lists(tmp_path: Path) -> None:
    def good(worker: FakeWorker, number: int) -> None:
        worker.say(b"".join(wire.name_line(number, f"u{n}") for n in range(50_000)))
        worker.say(wire.reply_line(wire.Reply(number, wire.OK, 1)))

    def broken(worker: FakeWorker, number: int) -> None:
        worker.say(
            wire.name_line(number, "u1") + wire.reply_line(wire.Reply(number, wire.FAIL, -1, reason="broke off"))
        )

    def died(worker: FakeWorker, number: int) -> None:
        worker.say(wire.name_line(number, "u1"))
        asyncio.get_running_loop().call_later(0.05, worker.transport.abort)

    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            assert await listing(pool, house, good) == [f"u{n}" for n in range(50_000)]
            house.workers[0].requests.clear()
            with pytest.raises(Unavailable, match="broke off"):
                await listing(pool, house, broken)
            house.workers[0].requests.clear()
            with pytest.raises(Unavailable, match="died"):
                await listing(pool, house, died)

    asyncio.run(main())


def test_what_drivers_say_of_themselves(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            task = ask(pool, "u1")
            worker = await house.has("u1")
            worker.say(wire.info_line("db", {"variables": "user,service", "decoy": "{CRYPT}x"}))
            worker.say(wire.info_line("db2", {"variables": "?"}))
            worker.answer("u1")
            await task
            assert pool.variables == {"db": frozenset({"user", "service"}), "db2": None}
            assert pool.decoys == {"db": "{CRYPT}x", "db2": ""}

    asyncio.run(main())


def test_the_decoy_is_what_came_last(tmp_path: Path) -> None:
    """Whatever the driver thought before its first question: unknown users cost what those before them cost."""

    async def main() -> None:
        async with pool_of(tmp_path) as (pool, house, _):
            driver = WorkerPassdb(PassdbSettings(name="db"), pool, concurrent=1, credentials=True)
            for word, user, stored in ((wire.OK, "u1", "{BLF-CRYPT}x"), (wire.COMPARE, "u2", "{SHA512-CRYPT}y")):
                verify = word == wire.COMPARE
                asked = driver.verify(Query(user), Secret(b"pw")) if verify else driver.find(Query(user))
                task = asyncio.create_task(asked)
                worker = await house.has(user)
                (request,) = worker.requests.values()
                worker.requests.clear()
                worker.say(wire.reply_line(wire.Reply(request.id, word, wire.RESULT_OK, password=stored)))
                entry = await task
                assert entry is not None and (entry.password, entry.unverified) == (stored, verify)
                assert driver.decoy() == stored

    asyncio.run(main())
