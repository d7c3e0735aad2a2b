"""The lasting connection to another room: greetings, back-off, one complaint an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kit.worker import LOOPS, Lines, run, until

from roost.clients import link as module
from roost.clients.link import Greeting, Link
from roost.errors import Malformed
from roost.ipc.handshake import version_line

GREETING = Greeting("x-client", "x-server", 1, 0)
SERVER_HELLO = version_line("x-server", 1, 0)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Owner:
    def __init__(self, path: Path) -> None:
        self.logged = Lines()
        self.events: list[str] = []
        self.lines: list[bytes] = []
        self.link = Link(
            str(path),
            GREETING,
            self.logged.log(),
            on_up=lambda: self.events.append("up"),
            on_lines=self.take,
            on_down=lambda: self.events.append("down"),
            max_line_octets=100,
        )

    def take(self, lines: list[bytes]) -> None:
        self.lines += lines
        if b"bad" in lines:
            raise Malformed("Unexpected.")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECS", 0.01)
    monkeypatch.setattr(module, "MAX_RETRY_SECS", 0.02)
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_SECS", 0.3)


@pytest.mark.parametrize("kind", LOOPS)
def test_up_lines_down_and_up_again(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == version_line("x-client", 1, 0)
            writer.write(SERVER_HELLO + b"one\ntwo\n")
            line = await reader.readline()
            writer.write(b"got " + line)
            await reader.readline()
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        owner = Owner(tmp_path / "s")
        owner.link.write(b"dropped\n")
        await owner.link.start()
        assert owner.link.up
        owner.link.write(b"hello\n")
        await until(lambda: owner.lines == [b"one", b"two", b"got hello"])
        owner.link.write(b"leave\n")
        await until(lambda: owner.events == ["up", "down", "up"])
        assert owner.logged.text.count("reconnecting") == 1
        await owner.link.stop()
        assert owner.events[-1] == "down"
        server.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("hello", [version_line("y-server", 1, 0), version_line("x-server", 2, 0), b"x" * 200, b""])
def test_a_wrong_or_silent_server_is_tried_again_and_said_once(kind: str, hello: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        tries = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal tries
            tries += 1
            writer.write(hello)
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        owner = Owner(tmp_path / "s")
        await owner.link.start()
        assert not owner.link.up
        await until(lambda: tries >= 3)
        assert owner.logged.text.count("Can't connect") == 1
        assert owner.events == []
        await owner.link.stop()
        server.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("line", [b"bad\n", b"z" * 200 + b"\n"])
def test_lines_nobody_expected_end_the_connection(kind: str, line: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(SERVER_HELLO)
            await until(lambda: owner.link.up)
            writer.write(line)
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        owner = Owner(tmp_path / "s")
        await owner.link.start()
        await until(lambda: owner.events[:3] == ["up", "down", "up"])
        assert "Error: " in owner.logged.text
        await owner.link.stop()
        server.close()

    run(kind, main)


def test_stopping_while_the_server_is_away(tmp_path: Path) -> None:
    async def main() -> None:
        owner = Owner(tmp_path / "none")
        await owner.link.start()
        await owner.link.stop()
        assert owner.events == []

    run("uvloop", main)
