"""What scripts of any process see of the network and of dicts: ``dovecot.http``, ``dovecot.dict``, ``dovecot.dns``."""

from __future__ import annotations

from roost.clients.http.configured import http_settings
from roost.clients.http.lua import LuaHttp
from roost.clients.resolver import Resolver
from roost.dict.opening import Dicts
from roost.events.log import Log
from roost.lua.api import dict as dictionaries
from roost.lua.api import dns, http
from roost.lua.script import ApiSource
from roost.settings import Config
from roost.settings.schema.dns import DnsSettings
from roost.settings.schema.http_client import LuaHttpSettings


def lua_http(config: Config, log: Log) -> LuaHttp:
    """Clients of scripts start from what the configuration says of the HTTP client. Raises ConfigError."""
    return LuaHttp(log, http_settings(config.element(LuaHttpSettings, ())))


def lua_resolver(config: Config) -> Resolver:
    """Bounded by ``dns_client_…``."""
    settings = config.section(DnsSettings)
    return Resolver(
        settings.dns_client_timeout_msecs / 1000, settings.dns_client_threads, settings.dns_client_max_waiting
    )


class LuaFamilies:
    """One for all scripts of a process. Connections are made when first used."""

    def __init__(self, config: Config, log: Log, dicts: Dicts) -> None:
        """Raises ConfigError."""
        self._http = lua_http(config, log)
        self._resolver = lua_resolver(config)
        self.families: tuple[ApiSource, ...] = (
            http.family(self._http),
            dictionaries.family(dicts),
            dns.family(self._resolver),
        )

    async def close(self) -> None:
        self._resolver.close()
        await self._http.close()
