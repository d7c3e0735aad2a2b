"""Connections over real sockets, on both loops: reading, collected writes, slow peers, faults, ends."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from kit.worker import LOOPS, Lines, run, until

from roost.net import connection as module
from roost.net.connection import Connection, ConnectionLost
from roost.net.inline import run_inline

BIG = 8 * 1024 * 1024


class Talk(Connection):
    """Keeps what happened to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lines: Lines, write_timeout_secs: float = 300.0) -> None:
        super().__init__(loop, lines.log(), write_timeout_secs=write_timeout_secs)
        self.got = b""
        self.chunks = 0
        self.events: list[str] = []
        self.on_data: Callable[[bytes], None] = lambda chunk: None

    def ready(self) -> None:
        self.events.append("ready")

    def data(self, chunk: memoryview) -> None:
        octets = bytes(chunk)
        self.got += octets
        self.chunks += 1
        self.on_data(octets)

    def lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")


class Pair:
    """One Connection and the raw other end."""

    def __init__(self, conn: Talk, peer: socket.socket, lines: Lines) -> None:
        self.conn, self.peer, self.lines = conn, peer, lines
        self.loop = conn.loop

    async def receive(self, octets: int) -> bytes:
        data = b""
        while len(data) < octets:
            chunk = await self.loop.sock_recv(self.peer, 65536)
            if not chunk:
                break
            data += chunk
        return data

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.peer, data)


async def connect(write_timeout_secs: float = 300.0) -> Pair:
    loop = asyncio.get_running_loop()
    lines = Lines()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    conn = Talk(loop, lines, write_timeout_secs)
    await loop.connect_accepted_socket(lambda: conn, ours)
    return Pair(conn, theirs, lines)


def on_both_loops(test: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    @pytest.mark.parametrize("kind", LOOPS)
    def wrapped(kind: str) -> None:
        run(kind, test)

    wrapped.__name__ = test.__name__
    return wrapped


@on_both_loops
async def test_octets_arrive_and_leave() -> None:
    pair = await connect()
    assert pair.conn.events == ["ready"]
    await pair.send(b"hello")
    await until(lambda: pair.conn.got == b"hello")
    pair.conn.write(b"one ")
    pair.conn.write(b"two")
    assert await pair.receive(7) == b"one two"
    pair.conn.close()
    assert await pair.receive(1) == b""
    await until(lambda: pair.conn.events == ["ready", "lost"])


@on_both_loops
async def test_what_is_written_during_data_leaves_as_one_write() -> None:
    pair = await connect()
    writes: list[int] = []
    transport = pair.conn._transport
    assert transport is not None

    class Spy:
        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

        def write(self, data: bytes) -> None:
            writes.append(len(data))
            transport.write(data)

    pair.conn._transport = Spy()  # type: ignore[assignment]
    pair.conn.on_data = lambda chunk: [pair.conn.write(b"row\r\n") for _ in range(50)] and None
    await pair.send(b"go")
    assert await pair.receive(250) == b"row\r\n" * 50
    assert writes == [250]
    writes.clear()
    big = b"x" * module.FLUSH_OCTETS
    pair.conn.on_data = lambda chunk: [pair.conn.write(big) for _ in range(2)] and None
    await pair.send(b"go")
    await pair.receive(2 * len(big))
    assert writes == [len(big)] * 2
    writes.clear()
    for _ in range(10):
        pair.conn.write(b"later ")
    assert writes == []
    await pair.receive(60)
    assert writes == [60]


@on_both_loops
async def test_the_receive_buffer_is_shared_and_reused() -> None:
    one, two = await connect(), await connect()
    assert one.conn.get_buffer(-1) is two.conn.get_buffer(-1)
    await one.send(b"aaa")
    await two.send(b"bbb")
    await until(lambda: one.conn.got == b"aaa" and two.conn.got == b"bbb")


@on_both_loops
async def test_a_fault_in_data_ends_this_connection_only() -> None:
    bad, good = await connect(), await connect()

    def fail(chunk: bytes) -> None:
        raise RuntimeError("our bug")

    bad.conn.on_data = fail
    await bad.send(b"x")
    await until(lambda: "lost" in bad.conn.events)
    assert "our bug" in bad.lines.text and "Traceback" in bad.lines.text
    await good.send(b"y")
    await until(lambda: good.conn.got == b"y")


@on_both_loops
async def test_crashed_may_say_good_bye() -> None:
    pair = await connect()

    class Polite(Talk):
        def crashed(self, exc: Exception) -> None:
            self.write(b"* BYE Internal error\r\n")
            self.close()

    pair.conn.__class__ = Polite

    def fail(chunk: bytes) -> None:
        raise RuntimeError("our bug")

    pair.conn.on_data = fail
    await pair.send(b"x")
    assert await pair.receive(1000) == b"* BYE Internal error\r\n"


@on_both_loops
async def test_writing_after_the_end_does_nothing() -> None:
    pair = await connect()
    pair.conn.abort()
    await until(lambda: "lost" in pair.conn.events)
    pair.conn.write(b"x" * BIG)
    pair.conn.flush()
    pair.conn.close()
    pair.conn.abort()
    pair.conn.pause_reading()
    pair.conn.resume_reading()
    pair.conn.start_tls(None)  # type: ignore[arg-type]
    with pytest.raises(ConnectionLost):
        await pair.conn.drained()
    assert pair.conn.events == ["ready", "lost"]


@on_both_loops
async def test_peer_closing_closes_by_default_after_the_output() -> None:
    pair = await connect()
    pair.conn.on_data = lambda chunk: pair.conn.write(b"answer")
    await pair.send(b"question")
    pair.peer.shutdown(socket.SHUT_WR)
    assert await pair.receive(100) == b"answer"
    await until(lambda: "lost" in pair.conn.events)


@on_both_loops
async def test_half_closed_peers_can_be_served() -> None:
    pair = await connect()

    class Patient(Talk):
        def peer_closed(self) -> None:
            self.events.append("eof")

    pair.conn.__class__ = Patient
    pair.peer.shutdown(socket.SHUT_WR)
    await until(lambda: "eof" in pair.conn.events)
    pair.conn.write(b"still here")
    assert await pair.receive(10) == b"still here"
    pair.conn.close()
    await until(lambda: pair.conn.events[-1] == "lost")


@on_both_loops
async def test_drained_waits_for_a_slow_reader() -> None:
    pair = await connect()
    await pair.conn.drained()  # nothing to wait for
    pair.conn.write(b"x" * BIG)
    assert pair.conn.paused
    tasks = [run_inline(pair.loop, pair.conn.drained()) for _ in range(2)]
    assert all(task is not None and not task.done() for task in tasks)
    await pair.receive(BIG)
    for task in tasks:
        assert task is not None
        await task
    assert not pair.conn.paused


@on_both_loops
async def test_drained_ends_with_the_connection() -> None:
    pair = await connect()
    pair.conn.write(b"x" * BIG)
    task = run_inline(pair.loop, pair.conn.drained())
    assert task is not None
    pair.peer.close()
    with pytest.raises(ConnectionLost):
        await task


@on_both_loops
async def test_a_peer_that_takes_nothing_is_cut_off() -> None:
    pair = await connect(write_timeout_secs=0.2)
    pair.conn.write(b"x" * BIG)
    task = run_inline(pair.loop, pair.conn.drained())
    assert task is not None
    with pytest.raises(ConnectionLost):
        await task
    await until(lambda: "lost" in pair.conn.events)


@on_both_loops
async def test_closing_towards_a_peer_that_takes_nothing_ends_too() -> None:
    pair = await connect(write_timeout_secs=0.2)
    pair.conn.write(b"x" * BIG)
    pair.conn.close()
    await until(lambda: "lost" in pair.conn.events)


@on_both_loops
async def test_closing_sends_what_was_written() -> None:
    pair = await connect()
    pair.conn.write(b"x" * BIG)
    pair.conn.close()
    assert len(await pair.receive(BIG + 1)) == BIG


@on_both_loops
async def test_pause_reading_holds_the_peer_back() -> None:
    pair = await connect()

    def pause(chunk: bytes) -> None:
        pair.conn.pause_reading()

    pair.conn.on_data = pause
    await pair.send(b"a")
    await until(lambda: pair.conn.got == b"a")
    await pair.send(b"b")
    for _ in range(20):
        await asyncio.sleep(0)
    assert pair.conn.got == b"a"
    pair.conn.resume_reading()
    await until(lambda: pair.conn.got == b"ab")


@on_both_loops
async def test_deadline_fires_and_is_cancelled_by_the_end() -> None:
    pair, other = await connect(), await connect()
    fired: list[str] = []
    pair.conn.set_deadline(0.05, lambda: fired.append("one"))
    other.conn.set_deadline(0.05, lambda: fired.append("two"))
    other.conn.abort()
    await until(lambda: fired)
    assert fired == ["one"]
    pair.conn.cancel_deadline()


@on_both_loops
async def test_errors_in_lost_are_logged_and_the_count_goes_on() -> None:
    pair = await connect()
    closed: list[object] = []
    pair.conn.on_closed = closed.append

    class Bad(Talk):
        def lost(self, exc: BaseException | None) -> None:
            raise RuntimeError("in lost")

    pair.conn.__class__ = Bad
    pair.peer.close()
    await until(lambda: closed)
    assert closed == [pair.conn] and "in lost" in pair.lines.text


@on_both_loops
async def test_who_is_there() -> None:
    pair = await connect()
    assert pair.conn.peer.remote_ip == "" and pair.conn.peer.remote_port == 0
    credentials = pair.conn.credentials()
    assert credentials is not None and credentials.pid == os.getpid() and credentials.unix_uid == os.getuid()
    loop = pair.loop
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    conn = Talk(loop, pair.lines)
    await loop.connect_accepted_socket(lambda: conn, accepted)
    assert (conn.peer.remote_ip, conn.peer.remote_port) == client.getsockname()
    assert (conn.peer.local_ip, conn.peer.local_port) == listener.getsockname()
    assert conn.credentials() is None and conn.tls_object() is None
    conn.abort()
    await until(lambda: "lost" in conn.events)
    assert conn.peer.remote_ip == "127.0.0.1"
    listener.close()
    client.close()
