"""The session and those who want to know of it (mail_lua, last_login): when they are asked, and what a no does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.imap_memory import MemoryChannel, MemoryImap

from roost.errors import Unavailable
from roost.storage.api import ConnInfo, Identity, User


class Hooks:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Future[None] | None = None

    async def begin(self, user: User, identity: Identity, conn: ConnInfo) -> Any:
        self.said.append(f"begin {user.username} {conn.remote_ip}")
        if self.gate is not None:
            await self.gate
        if self.fault is not None:
            raise self.fault
        return "the script"

    async def end(self, script: Any) -> None:
        self.said.append(f"end {script}")

    async def close(self) -> None:
        self.said.append("close")


@pytest.fixture
def room() -> tuple[MemoryImap, Hooks]:
    made, hooks = MemoryImap(), Hooks()
    made.shared.hooks = hooks
    return made, hooks


def ask(channel: MemoryChannel, line: bytes, until: bytes) -> bytes:
    channel.send(line)
    got = b""
    while until not in got:
        more = channel.receive(5)
        assert more, got
        got += more
    return got


def connected(made: MemoryImap) -> MemoryChannel:
    channel = made.connect()
    assert b"* OK" in (channel.receive(5) or b"")
    return channel


def test_they_are_told_of_the_beginning_and_the_end(room: tuple[MemoryImap, Hooks]) -> None:
    made, hooks = room
    channel = connected(made)
    ask(channel, b"a LOGIN u1 wrong\r\n", b"a NO")
    assert hooks.said == []
    ask(channel, b"b LOGIN u1 pw\r\n", b"b OK")
    assert hooks.said == ["begin u1 192.0.2.1"]
    ask(channel, b"c LOGOUT\r\n", b"c OK")
    channel.close()
    made.turn()
    assert hooks.said == ["begin u1 192.0.2.1", "end the script"]


def test_a_no_is_temporary_and_leaves_the_session_as_it_was(room: tuple[MemoryImap, Hooks]) -> None:
    made, hooks = room
    hooks.fault = Unavailable("Not now", detail="secret reason")
    channel = connected(made)
    answer = ask(channel, b"a LOGIN u1 pw\r\n", b"a NO")
    assert b"a NO [UNAVAILABLE] Not now" in answer
    assert b"secret" not in answer
    assert b"BAD" in ask(channel, b"b SELECT INBOX\r\n", b"b ")
    hooks.fault = None
    ask(channel, b"c LOGIN u1 pw\r\n", b"c OK")
    assert hooks.said == ["begin u1 192.0.2.1"] * 2


def test_a_client_that_leaves_while_they_think_is_forgotten(room: tuple[MemoryImap, Hooks]) -> None:
    made, hooks = room
    hooks.gate = made.loop.create_future()
    channel = connected(made)
    channel.send(b"a LOGIN u1 pw\r\n")
    made.turn()
    other = connected(made)
    assert b"OK" in ask(other, b"x NOOP\r\n", b"x ")  # nobody else waits
    channel.close()
    made.turn()
    made.turn()
    assert hooks.said == ["begin u1 192.0.2.1"]
    assert not made.failures
