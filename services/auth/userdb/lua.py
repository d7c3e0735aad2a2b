"""userdb lua: a script of the administrator says where users live, and who they are (docs/lua.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from roost.settings.schema.lua import calls_at_once
from services.auth.passdb.base import DriverContext

LOOKUP, ITERATE = "auth_userdb_lookup", "auth_userdb_iterate"
UNKNOWN = -2  # USERDB_RESULT_USER_UNKNOWN (roost/lua/api/auth.py)


class Lua:
    """See the head of this file."""

    concurrent = staticmethod(calls_at_once)

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        from services.auth.lua_script import LuaBlock  # Lua only where there is such a block

        self._block = LuaBlock(settings, context, "userdb")

    @property
    def variables(self) -> frozenset[str] | None:
        return self._block.variables

    async def start(self) -> None:
        """Raises ConfigError."""
        await self._block.start()

    async def close(self) -> None:
        await self._block.close()

    async def find(self, query: Query) -> Mapping[str, str] | None:
        verdict = await self._block.ask(LOOKUP, query)
        return None if verdict.code == UNKNOWN else _with_password(verdict.fields, verdict.password)

    def iterate(self) -> AsyncIterator[str] | None:
        """None when the script has been loaded and has no function for it."""
        if self._block.functions and ITERATE not in self._block.functions:
            return None
        return self._names()

    async def _names(self) -> AsyncIterator[str]:
        await self._block.start()
        for name in await self._block.names():
            yield name


def _with_password(fields: Mapping[str, str], password: str | None) -> Mapping[str, str]:
    """A userdb may have a field of this name, which means nothing there."""
    return fields if password is None else {**fields, "password": password}
