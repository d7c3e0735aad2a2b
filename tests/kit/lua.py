"""What the tests of scripts share: a script of ``tests/unit/roost/lua/scripts`` whose log lines are collected."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from roost.events.log import Log, Sink
from roost.lua.script import ApiSource, Script
from roost.settings.schema.lua import LuaSettings

T = TypeVar("T")
LUA_5_3 = os.environ.get("ROOST_TEST_LUA") == "lua53"
"""The suite runs on the other version that Dovecot is built with (CONTRIBUTING.md)."""
SCRIPTS = Path(__file__).parents[1] / "unit/roost/lua/scripts"


class Lines(Sink):
    """A sink that keeps (level, prefix + text)."""

    def __init__(self, *, debug: bool = False) -> None:
        super().__init__(os.open(os.devnull, os.O_WRONLY), debug=debug)
        self.seen: list[tuple[str, str]] = []

    def line(self, level: str, prefix: str, text: str) -> None:
        self.seen.append((level, prefix + text))

    def lines(self, level: str, prefix: str, texts: list[str]) -> None:
        for text in texts:
            self.line(level, prefix, text)

    def close(self) -> None:
        os.close(self.fd)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """On a fresh loop, at most 30 seconds."""

    async def bounded() -> T:
        return await asyncio.wait_for(coroutine, 30)

    return asyncio.run(bounded())


def load(name: str, lines: Lines, api: tuple[ApiSource, ...] = (), **settings: Any) -> Script:
    """The script ``scripts/NAME.lua``, compiled."""
    return Script.from_file(str(SCRIPTS / f"{name}.lua"), api, LuaSettings(**settings), log=Log("test: ", lines))


def text(source: str, lines: Lines, api: tuple[ApiSource, ...] = (), **settings: Any) -> Script:
    """A script from text."""
    return Script.from_string("", source, api, LuaSettings(**settings), log=Log("test: ", lines))
