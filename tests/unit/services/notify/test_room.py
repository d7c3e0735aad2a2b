"""The notify room and the workers' hubs over its real socket: hints arrive, none is lost, slow ones resync."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kit.wait import nothing_happens
from kit.worker import LOOPS, Lines, make_worker, run, served, unix_socket, until

from roost.clients.notify import Hub
from roost.ipc import notify as wire
from roost.ipc.handshake import version_line
from roost.storage.api import Kind, Update
from services.notify.room import NotifyRoom

HELLO = version_line(wire.CLIENT, wire.MAJOR, wire.MINOR)


class Site:
    """A room at a path, and hubs like those of as many workers."""

    def __init__(self, path: Path, *, queue_limit: int = 1000) -> None:
        self.path = path
        self.lines = Lines()
        self.queue_limit = queue_limit
        self.hubs: list[Hub] = []
        self.room: NotifyRoom | None = None

    @asynccontextmanager
    async def up(self) -> AsyncIterator[NotifyRoom]:
        worker = make_worker(self.lines.log())
        self.room = room = NotifyRoom(worker, max_line_octets=8192, queue_limit=self.queue_limit)
        sock = unix_socket(self.path)
        try:
            async with served(worker, room, sock):
                yield room
        finally:
            self.path.unlink()

    async def hub(self) -> Hub:
        hub = Hub(str(self.path), self.lines.log())
        await hub.start()
        self.hubs.append(hub)
        return hub

    async def close(self) -> None:
        for hub in self.hubs:
            await hub.stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "notify")


def settled(room: NotifyRoom, users: int) -> bool:
    return room.hub.users == users


@pytest.mark.parametrize("kind", LOOPS)
def test_a_change_reaches_the_other_worker(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            a, b = await site.hub(), await site.hub()
            seen: list[Update] = []
            stop = b.watch("bob", seen.append)
            await until(lambda: settled(room, 1))
            update = Update("bob", "m1", 42, Kind.NEW | Kind.FLAGS)
            a.publish(update)
            await until(lambda: seen)
            assert seen == [update]
            a.publish(Update("alice", "m1", 43))
            stop()
            a.publish(Update("bob", "m1", 44))
            await nothing_happens()
            assert seen == [update]
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_local_watchers_hear_without_a_room_and_from_any_thread(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        hub = Hub(None, lines.log())
        seen: list[tuple[int, int]] = []
        hub.watch("bob", lambda update: seen.append((update.modseq, threading.get_ident())))
        hub.publish(Update("bob", "m", 1))  # before start: nobody, no error
        await hub.start()
        hub.publish(Update("bob", "m", 2))
        await until(lambda: seen)
        thread = threading.Thread(target=lambda: hub.publish(Update("bob", "m", 3)))
        thread.start()
        await until(lambda: len(seen) == 2)
        thread.join()
        assert seen == [(2, threading.get_ident()), (3, threading.get_ident())]
        await hub.stop()
        hub.publish(Update("bob", "m", 4))

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_hints_of_one_turn_are_merged(kind: str) -> None:
    async def main() -> None:
        hub = Hub(None, Lines().log())
        await hub.start()
        seen: list[Update] = []
        hub.watch("bob", seen.append)
        for modseq in range(1, 6):
            hub.publish(Update("bob", "m", modseq, Kind.NEW if modseq % 2 else Kind.EXPUNGE))
        hub.publish(Update("bob", "other", 9))
        await until(lambda: seen)
        assert seen == [Update("bob", "m", 5, Kind.NEW | Kind.EXPUNGE), Update("bob", "other", 9)]

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_failing_watcher_is_logged_and_the_others_hear(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        hub = Hub(None, lines.log())
        await hub.start()
        seen: list[Update] = []

        def fail(update: Update) -> None:
            raise RuntimeError("watcher bug")

        hub.watch("bob", fail)
        hub.watch("bob", seen.append)
        hub.publish(Update("bob"))
        await until(lambda: seen)
        assert "watcher bug" in lines.text

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_publishing_for_nobody_is_muted_and_nothing_is_missed(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            a, b = await site.hub(), await site.hub()
            sent: list[Update] = []
            real = a._send
            a._send = lambda update: (sent.append(update), real(update))[1]  # type: ignore[method-assign]
            a.publish(Update("bob", "m", 1))
            await until(lambda: "bob" in a._muted)
            for modseq in range(2, 20):
                a.publish(Update("bob", "m", modseq))
            seen: list[Update] = []
            b.watch("bob", seen.append)
            await until(lambda: seen)  # one hint for all that was kept back
            assert seen[0].username == "bob" and seen[0].mailbox_id == "" and seen[0].kinds & Kind.FLAGS
            a.publish(Update("bob", "m", 20))
            await until(lambda: len(seen) > 1)
            assert seen[1] == Update("bob", "m", 20)
            assert settled(room, 1)
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_after_the_room_was_away_everything_is_looked_at(kind: str, site: Site) -> None:
    async def main() -> None:
        async with site.up():
            a, b = await site.hub(), await site.hub()
            seen: list[Update] = []
            b.watch("bob", seen.append)
        await until(lambda: "lost" in site.lines.text)
        a.publish(Update("bob", "m", 7))  # goes nowhere
        async with site.up() as room:
            await until(lambda: seen)
            assert seen[0].username == "bob" and seen[0].mailbox_id == ""
            seen.clear()
            await until(lambda: settled(room, 1) and len(room.members) == 2)
            a.publish(Update("bob", "m", 8))
            await until(lambda: seen)
            assert seen[-1] == Update("bob", "m", 8)
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_hub_starts_without_its_room(kind: str, site: Site) -> None:
    async def main() -> None:
        hub = await site.hub()
        assert "Can't connect" in site.lines.text
        seen: list[Update] = []
        hub.watch("bob", seen.append)
        hub.publish(Update("bob", "m", 1))
        await until(lambda: seen)
        async with site.up() as room:
            await until(lambda: settled(room, 1))
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_worker_that_does_not_read_is_told_to_resync(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        site = Site(tmp_path / "notify", queue_limit=50)
        async with site.up() as room:
            loop = asyncio.get_running_loop()
            slow = socket.socket(socket.AF_UNIX)
            slow.setblocking(False)
            await loop.sock_connect(slow, str(site.path))
            await loop.sock_sendall(slow, HELLO + b"".join(wire.watch_line(f"u{n}") for n in range(200)))
            await until(lambda: settled(room, 200))
            fast = await site.hub()
            member = room.members[1]
            modseq = 0
            while not member._outbox.overflowed:
                modseq += 1
                for number in range(200):
                    fast.publish(Update(f"u{number}", "m" * 40, modseq))
                await asyncio.sleep(0)
                assert len(member._outbox) <= 50 and modseq < 5000
            data = b""
            while wire.RESYNC_LINE not in data:
                data = data[-100:] + await loop.sock_recv(slow, 65536)
            fast.publish(Update("u1", "m", 10**6))
            while wire.hint_line(wire.Hint("u1", "m", 10**6, 1)) not in data:
                data = data[-100:] + await loop.sock_recv(slow, 65536)
            slow.close()
            await site.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"VERSION\tanvil-client\t1\t0\n",
        HELLO + b"NOBODY\tu\n",
        HELLO + b"HINT\tx\n",
        b"x" * 9000,
        HELLO + b"y" * 9000,
    ],
)
def test_strangers_are_sent_away(kind: str, octets: bytes, site: Site) -> None:
    async def main() -> None:
        async with site.up() as room:
            reader, writer = await asyncio.open_unix_connection(str(site.path))
            writer.write(octets)
            answer = await reader.read()
            assert answer in (b"", version_line(wire.SERVER, wire.MAJOR, wire.MINOR))
            assert "disconnected" in site.lines.text
            await until(lambda: not room.members)
            writer.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_users_without_watchers_are_forgotten_after_a_while(
    kind: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roost.clients.notify.LINGER_SECS", 0.05)

    async def main() -> None:
        async with site.up() as room:
            hub = await site.hub()
            stop = hub.watch("bob", lambda update: None)
            again = hub.watch("alice", lambda update: None)
            await until(lambda: settled(room, 2))
            stop()
            stop()
            again()
            again = hub.watch("alice", lambda update: None)
            await until(lambda: settled(room, 1))
            again()
            await until(lambda: settled(room, 0))
            await site.close()

    run(kind, main)
