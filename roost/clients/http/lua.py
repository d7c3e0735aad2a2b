"""The HTTP client behind ``dovecot.http`` of Lua scripts (``roost.lua.api.http.HttpDoor``).

Scripts of one process whose clients have the same settings share one client, so that the runtimes of a pool share
kept connections. ``max_parallel_connections`` therefore bounds a process, and a script that does not name it gets
PARALLEL instead of Dovecot's 1: there each process made one request at a time, here one serves thousands.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from roost.clients.http.client import HttpClient
from roost.clients.http.message import BadRequest, Request, Response
from roost.clients.http.settings import HttpSettings, from_values
from roost.clients.http.url import BadUrl, Url, parse_url
from roost.errors import ConfigError
from roost.events.log import Log
from roost.settings.schema.http_client import PARALLEL

_USERINFO: Final = re.compile(r"//.*@")
MAX_CLIENTS: Final = 64
Answer = tuple[int, str, bytes, bytes]


class LuaHttp:
    """One for all scripts of a process. ``base``: settings that scripts start from."""

    def __init__(self, log: Log, base: HttpSettings | None = None) -> None:
        self._log = log
        self._base = base or HttpSettings(max_parallel_connections=PARALLEL)
        self._known: dict[HttpSettings, HttpSettings] = {}  # equal settings become the same object
        self._clients: dict[int, HttpClient] = {}
        self._look_at = MAX_CLIENTS
        self._loop: asyncio.AbstractEventLoop | None = None

    def settings(self, values: Mapping[str, Any], compat: bool) -> tuple[HttpSettings, list[str]]:
        """See HttpDoor. Raises ConfigError."""
        plain = {key: value for key, value in values.items() if isinstance(value, (str, int, float))}
        strange = [key for key in values if key not in plain]
        if strange and not compat:
            raise ConfigError(f"{strange[0]}: only strings and numbers can be settings", key=strange[0])
        settings, notes = from_values(plain, compat=compat, base=self._base)
        self._forget()
        settings = self._known.setdefault(settings, settings)
        return settings, notes + [f"{key} is no string or number and ignored" for key in strange]

    def check(self, method: str, url: str) -> None:
        """Raises ValueError."""
        _checked(method, url)

    async def submit(
        self,
        settings: HttpSettings,
        method: str,
        url: str,
        headers: list[tuple[str, bytes]],
        body: bytes | None,
        sync: bool,
    ) -> Answer:
        """See HttpDoor."""
        return _answer(await self._client(settings).request(_request(method, url, headers, body, sync)))

    def submit_blocking(
        self,
        settings: HttpSettings,
        method: str,
        url: str,
        headers: list[tuple[str, bytes]],
        body: bytes | None,
        sync: bool,
    ) -> Answer:
        """See HttpDoor. On a loop of its own, with a client for this request alone."""

        async def alone() -> Response:
            client = HttpClient(settings, self._log)
            try:
                return await client.request(_request(method, url, headers, body, sync))
            finally:
                await client.close()

        return _answer(asyncio.run(alone()))

    async def close(self) -> None:
        """End all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def _client(self, settings: HttpSettings) -> HttpClient:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._clients = {}
            self._known = {}
        client = self._clients.get(id(settings))
        if client is None:
            self._forget()
            settings = self._known.setdefault(settings, settings)
            client = self._clients.get(id(settings))
            if client is None:
                client = self._clients[id(settings)] = HttpClient(settings, self._log)
        return client

    def _forget(self) -> None:
        """A script may make clients of ever new settings: those that do nothing go when there are many."""
        if len(self._known) < self._look_at:
            return
        for settings in list(self._known):
            client = self._clients.get(id(settings))
            if client is None or client.quiet:
                self._clients.pop(id(settings), None)
                del self._known[settings]
        self._look_at = max(MAX_CLIENTS, 2 * len(self._known))


@lru_cache(maxsize=1024)
def _checked(method: str, url: str) -> None:
    Request(method, "")
    _parsed(url)


@lru_cache(maxsize=1024)
def _parsed(url: str) -> Url:
    try:
        return parse_url(url)
    except BadUrl as error:
        shown = _USERINFO.sub("//***@", url)  # the text goes to the log
        raise ValueError(f"Failed to parse url {shown}: {error}") from None


def _request(method: str, url: str, headers: list[tuple[str, bytes]], body: bytes | None, sync: bool) -> Request:
    try:
        return Request(method, _parsed(url), list(headers), body, sync=sync)
    except BadRequest as error:
        raise ConfigError(str(error)) from None


def _answer(response: Response) -> Answer:
    return response.status, response.reason, _block(tuple(response.headers)), response.body


@lru_cache(maxsize=32)
def _block(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b\n%b\n" % pair for pair in headers])
