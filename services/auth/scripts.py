"""Whether the Lua scripts of a configuration load: asked by the master before a start or reload counts.

Each script is compiled, its top-level chunk and ``script_init`` are run, as its service will do; so what is broken
stops the start with the file and the line, and a reload leaves everything as it was. A script that is not done in time
is told of and let pass: what it waits for may come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

from roost.auth.api import DriverContext, Query
from roost.events.log import Log
from roost.settings import Config
from roost.settings.connections import PROTOCOLS
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from services.auth.passdb.lua import Lua as LuaPassdb
from services.auth.userdb.lua import Lua as LuaUserdb

T = TypeVar("T")
LUA = "lua"


def blocks(config: Config) -> Iterator[PassdbSettings | UserdbSettings]:
    """Every block that names a script, those inside ``protocol`` blocks too; each once."""
    seen: list[PassdbSettings | UserdbSettings] = []
    for protocol in ("", *sorted(PROTOCOLS)):
        found: list[PassdbSettings | UserdbSettings] = [*config.passdbs_of(protocol), *config.userdbs_of(protocol)]
        for block in found:
            if (block.driver or block.name) == LUA and block not in seen:
                seen.append(block)
                yield block


def wanted(config: Config) -> bool:
    """Whether there is anything to look at."""
    return next(blocks(config), None) is not None


def check(config: Config) -> None:
    """Raises ConfigError."""
    asyncio.run(_check(config))


async def _check(config: Config) -> None:
    context = DriverContext(Log("lua: "), _in_thread, _nobody, {"config": config})
    for block in blocks(config):
        driver = LuaPassdb(block, context) if isinstance(block, PassdbSettings) else LuaUserdb(block, context)
        try:
            await driver.start()
        finally:
            await driver.close()


async def _in_thread(fn: Callable[..., T], *arguments: object) -> T:
    return await asyncio.to_thread(fn, *arguments)


async def _nobody(query: Query) -> bool:
    return False
