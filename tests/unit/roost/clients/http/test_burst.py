"""Thousands of requests at once to a server that nobody talked to yet: its queue of connections is not overrun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from kit.http_server import HttpServer, Seen, reply
from kit.wait import until
from kit.worker import LOOPS, run

from roost.clients.http import pool
from roost.clients.http.client import HttpClient
from roost.clients.http.message import Request
from roost.clients.http.settings import from_strings
from roost.events.log import Log

pytestmark = pytest.mark.parametrize("loop", LOOPS)
MANY = {"max_parallel_connections": "500", "max_idle_time": "10s"}


def asked(client: HttpClient, url: str, count: int) -> list[asyncio.Future[int]]:
    async def one() -> int:
        return (await client.request(Request("GET", url))).status

    return [asyncio.ensure_future(one()) for _ in range(count)]


def test_no_more_connections_than_a_queue_holds_before_the_first_answers(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTING", 4)
    monkeypatch.setattr(pool, "YOUNG_SECS", 60.0)

    async def whole() -> None:
        gate = asyncio.Event()

        async def held(seen: Seen) -> AsyncIterator[bytes]:
            await gate.wait()
            yield reply(200, b"ok")

        async with HttpServer(held) as server:
            client = HttpClient(from_strings(MANY), Log("test: "))
            waiting = asked(client, server.url, 40)
            await until(lambda: len(server.requests) == 4)
            for _ in range(50):
                await asyncio.sleep(0)
            assert server.connections == 4
            gate.set()
            assert set(await asyncio.gather(*waiting)) == {200}
            assert 4 <= server.connections <= 40
            await client.close()

    run(loop, whole)


def test_a_slow_server_gets_more_connections_nevertheless(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTING", 4)
    monkeypatch.setattr(pool, "YOUNG_SECS", 0.001)

    async def whole() -> None:
        gate = asyncio.Event()

        async def held(seen: Seen) -> AsyncIterator[bytes]:
            await gate.wait()
            yield reply(200, b"ok")

        async with HttpServer(held) as server:
            client = HttpClient(from_strings(MANY), Log("test: "))
            waiting = asked(client, server.url, 40)
            await until(lambda: len(server.requests) == 40)
            gate.set()
            assert set(await asyncio.gather(*waiting)) == {200}
            await client.close()

    run(loop, whole)


def test_places_of_lost_and_withdrawn_connections_are_free_again(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTING", 2)
    monkeypatch.setattr(pool, "YOUNG_SECS", 60.0)

    async def whole() -> None:
        gate = asyncio.Event()

        async def held(seen: Seen) -> AsyncIterator[bytes]:
            await gate.wait()
            yield reply(200, b"ok", close=True)

        async with HttpServer(held) as server:
            client = HttpClient(from_strings(MANY), Log("test: "))
            gone = asked(client, server.url, 2)
            await until(lambda: len(server.requests) == 2)
            waiting = asked(client, server.url, 10)
            for future in gone:
                future.cancel()
            await asyncio.wait(gone)
            await until(lambda: len(server.requests) == 4)
            gate.set()
            assert set(await asyncio.gather(*waiting)) == {200}
            await client.close()

    run(loop, whole)
