"""An example script of ``docs/examples/lua``, run as its head says: the conf block in it is loaded, with other paths.

``Example(name, folder, replace={…}).passdb()`` is the driver of its ``passdb`` block.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from roost.auth.api import DriverContext, Entry, Query
from roost.events.log import Log, Sink
from roost.settings import Config, load
from roost.util.secret import Secret
from services.auth.passdb.lua import Lua as LuaPassdb
from services.auth.userdb.lua import Lua as LuaUserdb

T = TypeVar("T")
EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples/lua"
IMAP = {"service": "imap", "rip": "192.0.2.7", "lip": "192.0.2.1"}
_CONF = re.compile(r"(?m)^--   (.*)\n")


def conf_of(name: str) -> str:
    """The conf block in the head of an example."""
    head = (EXAMPLES / name).read_text().split("\n\n", 1)[0].split("\nlocal ", 1)[0] + "\n"
    return "".join(line + "\n" for line in _CONF.findall(head))


class Example:
    """``replace``: texts of the conf block and what stands there in the test."""

    def __init__(self, name: str, folder: Path, sink: Sink, replace: Mapping[str, str] | None = None) -> None:
        text = conf_of(name)
        for old, new in {"/etc/roost/lua/": f"{EXAMPLES}/", **(replace or {})}.items():
            assert old in text, f"{name}: the conf block has no {old}"
            text = text.replace(old, new)
        path = folder / "example.conf"
        path.write_text(text)
        self.config: Config = load(str(path), environ={})
        self.context = DriverContext(Log("auth: ", sink), _in_thread, _nobody, {"config": self.config})

    def passdb(self) -> LuaPassdb:
        """The first lua passdb."""
        blocks = self.config.passdbs_of("")
        return LuaPassdb(next(one for one in blocks if "lua" in (one.driver, one.name)), self.context)

    def userdb(self) -> LuaUserdb:
        """The first lua userdb."""
        blocks = self.config.userdbs_of("")
        return LuaUserdb(next(one for one in blocks if "lua" in (one.driver, one.name)), self.context)


async def login(
    driver: LuaPassdb,
    user: str,
    password: str,
    parameters: Mapping[str, str] = IMAP,
    fields: Mapping[str, str] | None = None,
) -> Entry | None:
    """A plaintext login."""
    query = Query(user, parameters, "plain", user, passdb_fields=fields or {})
    return await driver.verify(query, Secret(password.encode()))


async def _in_thread(fn: Callable[..., T], *args: object) -> T:
    return await asyncio.to_thread(fn, *args)


async def _nobody(query: Query) -> bool:
    return False
