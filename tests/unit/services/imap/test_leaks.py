"""Clients that come, do anything and go leave nothing behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from kit.imap_memory import MemoryImap

from services.imap.connection import ImapConnection
from services.imap.session import Session

STORIES: tuple[bytes, ...] = (
    b"",
    b"A LOGIN u1 wrong\r\n",
    b"A AUTHENTICATE PLAIN\r\n",
    b"A AUTHENTICATE PLAIN\r\n*\r\nB AUTHENTICATE LOGIN\r\nxx",
    b"A LOGIN {2}\r\n",
    b"A LOGIN {8000+}\r\n" + b"x" * 4000,
    b"(" * 5000,
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"A LOGIN u1 pw\r\nB SELECT INBOX\r\nC IDLE\r\n",
    b"A LOGIN u1 pw\r\nB APPEND INBOX {500000+}\r\n" + b"y" * 300_000,
    b"A LOGIN u1 pw\r\nB SELECT INBOX\r\nC FETCH 1:* BODY[]\r\nD LOGOUT\r\n",
)


def visit(server: MemoryImap, story: bytes) -> None:
    channel = server.connect()
    channel.send(story)
    server.turn()
    channel.close()


def objects(*kinds: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


def test_nothing_of_a_client_is_left() -> None:
    server = MemoryImap()
    before = objects(ImapConnection, Session)
    for story in STORIES:
        visit(server, story)
    for _ in range(3):
        server.turn()
    assert objects(ImapConnection, Session) == before
    assert not server.hub._local
    server.close()


def test_ten_thousand_aborted_exchanges_keep_no_memory() -> None:
    server = MemoryImap({"imap_max_bad_commands_before_login": 20_000})
    channel = server.connect()

    def abort_some(count: int) -> None:
        for _ in range(count):
            channel.connection.session.auth_attempts = 0  # type: ignore[union-attr]
            channel.send(b"A AUTHENTICATE PLAIN\r\n*\r\n")
            if channel.waiting or len(channel.transport.written) > 50:
                channel.receive(5)
        while channel.waiting:
            channel.receive(5)
        server.turn()
        channel.transport.written.clear()

    growth(server, abort_some, 500, 9500, allowed=64 * 1024)


def test_connections_that_do_nothing_keep_no_memory() -> None:
    server = MemoryImap()

    def visits(count: int) -> None:
        for n in range(count):
            visit(server, STORIES[n % 8])
        server.sink.rows.clear()

    growth(server, visits, 200, 1000, allowed=128 * 1024)


def growth(server: MemoryImap, act: Callable[[int], None], warm: int, count: int, *, allowed: int) -> None:
    act(warm)
    gc.collect()
    tracemalloc.start()
    try:
        base, _ = tracemalloc.get_traced_memory()
        act(count)
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    server.sink.rows.clear()
    assert now - base < allowed, f"{now - base} octets more"
    server.close()


def test_an_idle_session_is_small() -> None:
    server = MemoryImap()

    def idle() -> object:
        channel = server.connect()
        channel.send(b"A LOGIN u1 pw\r\nB SELECT INBOX\r\nC IDLE\r\n")
        server.turn()
        channel.transport.written.clear()
        return channel

    kept = [idle() for _ in range(20)]
    gc.collect()
    tracemalloc.start()
    try:
        kept += [idle() for _ in range(100)]
        server.sink.rows.clear()
        gc.collect()
        octets = tracemalloc.get_traced_memory()[0] / 100
    finally:
        tracemalloc.stop()
    assert octets < 24 * 1024, f"{octets:.0f} octets a session"
    for channel in kept:
        channel.close()  # type: ignore[attr-defined]
    server.close()
