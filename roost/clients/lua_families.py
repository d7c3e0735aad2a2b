"""What scripts of any process see of the network and of dicts: ``dovecot.http``, ``dovecot.dict``, ``dovecot.dns``."""

from __future__ import annotations

from roost.clients.http.lua import LuaHttp
from roost.clients.resolver import Resolver
from roost.dict.opening import Dicts
from roost.events.log import Log
from roost.lua.api import dict as dictionaries
from roost.lua.api import dns, http
from roost.lua.script import ApiSource


class LuaFamilies:
    """One for all scripts of a process. Connections are made when first used."""

    def __init__(self, log: Log, dicts: Dicts) -> None:
        self._http = LuaHttp(log)
        self._resolver = Resolver()
        self.families: tuple[ApiSource, ...] = (
            http.family(self._http),
            dictionaries.family(dicts),
            dns.family(self._resolver),
        )

    async def close(self) -> None:
        self._resolver.close()
        await self._http.close()
