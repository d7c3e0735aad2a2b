"""What the frame offers a room: background tasks, timers, threads; and the count of clients."""

from __future__ import annotations

import asyncio
import threading

import pytest
from kit.toyroom import ToyRoom
from kit.wait import nothing_happens
from kit.worker import LOOPS, Lines, make_worker, run, served, tcp_socket, until

from roost.errors import Unavailable
from roost.net.connection import Connection
from roost.worker.loop import backend_fd, is_uvloop, new_loop
from roost.worker.offload import Offload
from roost.worker.service import Worker


@pytest.mark.parametrize("kind", LOOPS)
def test_what_a_task_raises_is_logged(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        worker = make_worker(lines.log())

        async def fail() -> None:
            raise ValueError("lost?")

        task = worker.spawn(fail(), "the task")
        await until(lambda: task.done() and "lost?" in lines.text)
        assert "Task the task failed" in lines.text and "Traceback" in lines.text
        await worker.aclose()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_every_goes_on_after_a_failure_until_stopped(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        worker = make_worker(lines.log())
        calls: list[int] = []

        def tick() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("first")

        stop = worker.every(0.01, tick)
        await until(lambda: len(calls) >= 3)
        stop()
        count = len(calls)
        await nothing_happens()
        assert len(calls) == count and lines.text.count("Traceback") == 1
        stop()
        await worker.aclose()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_the_end_cancels_what_is_left(kind: str) -> None:
    async def main() -> None:
        worker = make_worker()
        calls: list[int] = []
        task = worker.spawn(asyncio.Event().wait(), "sleeper")
        worker.every(0.01, lambda: calls.append(1))
        await worker.aclose()
        assert task.cancelled()
        count = len(calls)
        await nothing_happens()
        assert len(calls) == count

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_offload_runs_elsewhere_and_is_bounded(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        offload = Offload(loop, threads=1, waiting=1)
        assert await offload(threading.get_ident) != threading.get_ident()
        gate = threading.Event()
        running = [offload(gate.wait, 10), offload(gate.wait, 10)]
        with pytest.raises(Unavailable):
            offload(gate.wait, 10)
        gate.set()
        assert await asyncio.gather(*running) == [True, True]
        with pytest.raises(ZeroDivisionError):
            await offload(divmod, 1, 0)
        offload.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_room_that_fails_to_make_a_connection_costs_that_client_only(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        worker = make_worker(lines.log())

        class Moody(ToyRoom):
            broken = True

            def connection(self, listener: object) -> Connection:
                if self.broken:
                    raise RuntimeError("moody")
                return super().connection(listener)  # type: ignore[arg-type]

        room = Moody(worker)
        sock = tcp_socket()
        async with served(worker, room, sock):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            assert await reader.read() == b""
            writer.close()
            room.broken = False
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            assert await reader.readline() == b"* OK door0 plain\n"
            writer.close()
            await until(lambda: worker.clients == 0)
        assert "moody" in lines.text

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_ten_thousand_clients_that_come_and_go_leave_nothing(kind: str) -> None:
    async def main() -> None:
        worker = make_worker()
        room = ToyRoom(worker)
        sock = tcp_socket()
        total = 10_000 if kind == "uvloop" else 1_000
        async with served(worker, room, sock) as listeners:
            for _ in range(total // 50):
                pairs = [await asyncio.open_connection(*sock.getsockname()) for _ in range(50)]
                for _reader, writer in pairs:
                    writer.transport.abort()
            await until(lambda: worker.clients == 0)
            assert not room.connections and not listeners._connections

    run(kind, main)


def test_loops() -> None:
    for kind in LOOPS:
        loop = new_loop(kind)
        assert is_uvloop(loop) == (kind == "uvloop")
        assert (backend_fd(loop) >= 0) == (kind == "uvloop")
        loop.close()


def test_tls_context_is_none_without_a_certificate() -> None:
    async def main() -> None:
        worker: Worker = make_worker()
        assert worker.tls_context() is None

    run("uvloop", main)
