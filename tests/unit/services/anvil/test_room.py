"""The anvil room over its real socket: sessions, tools, kicks, outages, strangers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.worker import LOOPS, Lines, make_worker, run, served, unix_socket, until

from roost.clients.anvil import Anvil
from roost.ipc import anvil as wire
from roost.ipc.handshake import version_line
from services.anvil import room as module
from services.anvil.room import AnvilRoom

GREETING = version_line(wire.SERVER, wire.MAJOR, wire.MINOR)
HELLO = version_line(wire.CLIENT, wire.MAJOR, wire.MINOR)


class Site:
    def __init__(self, path: Path, max_sessions: int = 1000) -> None:
        self.path, self.max_sessions = path, max_sessions
        self.lines = Lines()
        self.clients: list[Anvil] = []

    @asynccontextmanager
    async def up(self) -> AsyncIterator[AnvilRoom]:
        worker = make_worker(self.lines.log())
        room = AnvilRoom(worker, max_line_octets=8192, max_sessions=self.max_sessions, max_penalties=100)
        sock = unix_socket(self.path)
        try:
            async with served(worker, room, sock):
                yield room
        finally:
            self.path.unlink()

    async def worker(self, on_kick: Callable[[str], bool] | None = None) -> Anvil:
        client = Anvil(str(self.path), self.lines.log(), service="imap", timeout_secs=0.5, on_kick=on_kick)
        await client.start()
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.stop()

    async def tool(self) -> Tool:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(HELLO + b"\n")
        assert await reader.readline() == GREETING
        return Tool(reader, writer)


class Tool:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line + b"\n")
        return await self.reader.readline()

    async def dump(self) -> list[wire.SessionRow]:
        assert await self.ask(b"CONNECT-DUMP") == b"\n"  # the header of alternative user fields
        rows = []
        while (line := await self.reader.readline()) != b"\n":
            rows.append(wire.parse_row(line[:-1]))
        return rows


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "anvil")


@pytest.mark.parametrize("kind", LOOPS)
def test_sessions_are_counted_over_workers_and_shown(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up():
            a, b = await site.worker(), await site.worker()
            assert await a.connect("s1", "bob", "imap", "192.0.2.1") == 1
            assert await b.connect("s2", "bob", "imap", "192.0.2.1") == 2
            assert await b.connect("s3", "bob", "imap", "192.0.2.2") == 1
            assert await b.connect("s4", "tab\tand\nlf", "imap", "192.0.2.2") == 1
            tool = await site.tool()
            rows = await tool.dump()
            assert {row.session_id for row in rows} == {"s1", "s2", "s3", "s4"}
            assert {row.pid for row in rows} == {os.getpid()}
            assert {row.user for row in rows} == {"bob", "tab\tand\nlf"}
            assert await tool.ask(b"LOOKUP\tbob\timap\t192.0.2.1") == b"2\n"
            a.disconnect("s1")
            a.disconnect("s1")
            a.disconnect("never")
            assert await a.lookup("bob", "imap", "192.0.2.1") == 1
            tool.writer.close()
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_ended_sessions_are_told_without_anything_else_happening(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            worker = await site.worker()
            for number in range(50):
                await worker.connect(f"s{number}", "bob", "imap", "x")
            for number in range(50):
                worker.disconnect(f"s{number}")
            await until(lambda: len(room.sessions) == 0)
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_session_that_ends_before_it_was_told_of_is_not_told_of(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            worker = await site.worker()
            entered: list[str] = []
            connect = room.sessions.connect
            room.sessions.connect = lambda *given: (entered.append(given[1]), connect(*given))[1]  # type: ignore[method-assign]
            assert at_once(worker.connect("short", "bob", "imap", "x", limit=0)) == 1
            worker.disconnect("short")
            at_once(worker.connect("long", "bob", "imap", "x", limit=0))
            assert await worker.lookup("bob", "imap", "x") == 1
            assert entered == ["long"]
            worker.disconnect("long")  # told: must be taken back, also when the id comes again at once
            at_once(worker.connect("long", "bob", "imap", "x", limit=0))
            worker.disconnect("long")
            assert await worker.lookup("bob", "imap", "x") == 0
            assert len(room.sessions) == 0
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_workers_sessions_go_with_its_connection(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            a, b = await site.worker(), await site.worker()
            await a.connect("s1", "bob", "imap", "x")
            assert await b.connect("s2", "bob", "imap", "x") == 2
            await a.stop()
            await until(lambda: len(room.sessions) == 1)
            assert await b.lookup("bob", "imap", "x") == 1
            await site.close()

    run(kind, main)


def at_once(coroutine: Coroutine[Any, Any, int]) -> int | None:
    """What a coroutine returns without waiting; None when it waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return int(end.value)
    coroutine.close()
    return None


@pytest.mark.parametrize("kind", LOOPS)
def test_far_from_the_limit_nobody_waits_near_it_everybody_is_counted(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            a, b = await site.worker(), await site.worker()
            key = ("bob", "imap", "x")
            assert await a.connect("a0", *key, limit=20) == 1
            for number in range(1, 5):
                assert at_once(a.connect(f"a{number}", *key, limit=20)) == number + 1
            await until(lambda: len(room.sessions) == 5)
            assert await b.connect("b0", *key, limit=20) == 6
            for number in range(1, 6):  # the fifth exceeds what a was told
                await b.connect(f"b{number}", *key, limit=20)
            await until(lambda: a._bounds[key] > 4)
            total = 11
            for number in range(5, 30):
                for worker, letter in ((a, "a"), (b, "b")):
                    count = await worker.connect(f"{letter}{number + 10}", *key, limit=20)
                    if count > 20:
                        worker.disconnect(f"{letter}{number + 10}")
                    else:
                        total += 1
                    await until(lambda: len(room.sessions) == total)  # noqa: B023 - awaited here
            assert total == 20
            await until(lambda: len(room.sessions) == 20)
            assert await b.connect("exact", *key) == 21
            await site.close()
            await until(lambda: not room.workers)
            assert not room.sessions._knowers and not room.sessions._counts and not room.sessions._known

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_without_a_limit_nobody_ever_waits(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            worker = await site.worker()
            assert at_once(worker.connect("s1", "bob", "imap", "x", limit=0)) == 1
            await until(lambda: len(room.sessions) == 1)
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_what_workers_are_kept_informed_about_is_bounded(
    kind: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.anvil.sessions.MAX_KNOWN", 3)

    async def main() -> None:
        async with site.up() as room:
            a, b = await site.worker(), await site.worker()
            for number in range(10):
                assert await a.connect(f"s{number}", f"u{number}", "imap", "x") == 1
            await until(lambda: len(a._bounds) == 3)
            assert len(room.sessions._knowers) == 3
            assert await b.connect("t0", "u0", "imap", "x") == 2
            assert await a.connect("s10", "u0", "imap", "x", limit=20) == 3  # asked again
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_kicks_are_counted_honestly(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up():
            kicked: list[str] = []

            def kick(session_id: str) -> bool:
                kicked.append(session_id)
                return session_id != "stubborn"

            def broken(session_id: str) -> bool:
                raise RuntimeError("kick bug")

            a, b, c = await site.worker(kick), await site.worker(kick), await site.worker(broken)
            await a.connect("s1", "bob", "imap", "x")
            await a.connect("stubborn", "bob", "imap", "x")
            await b.connect("s2", "bob", "imap", "x")
            await b.connect("s3", "alice", "imap", "x")
            await c.connect("s4", "bob", "imap", "x")
            tool = await site.tool()
            assert await tool.ask(b"KICK-USER\tnobody") == b"+0\n"
            assert await tool.ask(b"KICK-USER\tbob\ts2") == b"+1\n"
            assert kicked == ["s2"]
            tool.writer.write(b"KICK-USER\tbob\nLOOKUP\talice\timap\tx\n")  # answered in order
            assert await tool.reader.readline() == b"+2\n"
            assert await tool.reader.readline() == b"1\n"
            assert sorted(kicked) == ["s1", "s2", "s2", "stubborn"]
            assert "kick bug" in site.lines.text
            tool.writer.close()
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_worker_that_leaves_or_sleeps_kicks_nobody(kind: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KICK_SECS", 0.1)

    async def main() -> None:
        async with site.up() as room:
            deaf, leaving = await site.worker(), await site.worker()
            await deaf.connect("s1", "bob", "imap", "x")
            await leaving.connect("s2", "bob", "imap", "x")
            for client in (deaf, leaving):
                client._link.on_lines = lambda lines: None
            tool = await site.tool()
            tool.writer.write(b"KICK-USER\tbob\n")
            await until(lambda: room._kicks)
            await leaving.stop()
            assert await tool.reader.readline() == b"+0\n"
            assert not room._kicks
            tool.writer.close()
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_logins_go_on_without_anvil_and_are_announced_later(kind: str, site: Site) -> None:
    async def main() -> None:
        worker = await site.worker()
        assert await worker.connect("s1", "bob", "imap", "x") == 1
        assert await worker.connect("s2", "bob", "imap", "x") == 2
        worker.disconnect("s1")
        assert await worker.lookup("bob", "imap", "x") == 1
        assert site.lines.text.count("\n") == 1
        async with site.up() as room:
            await until(lambda: len(room.sessions) == 1)
            assert await worker.connect("s3", "bob", "imap", "x") == 2
        async with site.up() as room:
            await until(lambda: len(room.sessions) == 2)
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_an_anvil_that_does_not_answer_holds_nobody_up(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(GREETING)
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(mute, str(tmp_path / "anvil"))
        site = Site(tmp_path / "anvil")
        worker = await site.worker()
        counts = await asyncio.gather(*(worker.connect(f"s{number}", "bob", "imap", "x") for number in range(3)))
        assert counts == [3, 3, 3]  # this process's own, when the time was up
        assert site.lines.text.count("did not answer") == 1
        await site.close()
        server.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_full_table_lets_users_in(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        site = Site(tmp_path / "anvil", max_sessions=1)
        async with site.up():
            worker = await site.worker()
            assert await worker.connect("s1", "bob", "imap", "x") == 1
            assert await worker.connect("s2", "bob", "imap", "x") == 2
            assert await worker.connect("s3", "bob", "imap", "x") == 3
            await until(lambda: site.lines.text)
            assert site.lines.text.count("anvil_max_sessions") == 1
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (HELLO + b"\nFROB\n", b"Unknown command: FROB\n"),
        (HELLO + b"\nCONNECT\tg\t1\tu\ts\ti\n", b"CONNECT: Not allowed on this connection type\n"),
        (HELLO + b"\nLOOKUP\tx\n", b"LOOKUP: Wrong number of parameters\n"),
        (HELLO + b"imap\t1\n", b"Invalid handshake.\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b"VERSION expected.\n"),
        (version_line("anvil-client", 9, 0), b"Incompatible version.\n"),
        (b"x" * 9000, b"Line is too long.\n"),
        (HELLO + b"\nLOOKUP\t" + b"\xff\xfe\x01" * 9 + b"\timap\tx\nFROB\n", b"0\nUnknown command: FROB\n"),
    ],
)
def test_strangers(kind: str, octets: bytes, answer: bytes, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            reader, writer = await asyncio.open_unix_connection(str(site.path))
            writer.write(octets)
            assert await reader.read() == GREETING + answer
            writer.close()
            await until(lambda: not room._connections)

    run(kind, main)
