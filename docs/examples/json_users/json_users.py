"""A passdb and a userdb in Python: users in a JSON file, ``{"name": {"password": "{SCHEME}…", "home": "/…"}}``.

Its entry points are in pyproject.toml.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

from roost.auth.api import DriverContext, Entry, Query
from roost.errors import ConfigError, Unavailable


class JsonUsers:
    """``Passdb.find`` and ``Userdb.find`` differ in what they give back; hence the two small classes below."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, path: str, context: DriverContext) -> None:
        self._path = path
        self._offload = context.offload

    async def _user(self, query: Query) -> dict[str, str] | None:
        return (await self._offload(self._read)).get(query.user)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            with open(self._path, encoding="utf-8") as file:
                found: dict[str, dict[str, str]] = json.load(file)
        except (OSError, ValueError) as error:
            raise Unavailable("Temporary authentication failure.", detail=f"{self._path}: {error}") from error
        return found


class JsonPassdb(JsonUsers):
    async def find(self, query: Query) -> Entry | None:
        user = await self._user(query)
        return None if user is None else Entry(user.get("password"), {k: v for k, v in user.items() if k != "password"})

    def decoy(self) -> str:
        return ""  # one of passdb_default_password_scheme will do


class JsonUserdb(JsonUsers):
    async def find(self, query: Query) -> Mapping[str, str] | None:
        user = await self._user(query)
        return None if user is None else {name: value for name, value in user.items() if name != "password"}

    def iterate(self) -> AsyncIterator[str] | None:
        return self._names()

    async def _names(self) -> AsyncIterator[str]:
        for name in await self._offload(self._read):
            yield name


def make_passdb(settings: Mapping[str, str], context: DriverContext) -> JsonPassdb:
    return JsonPassdb(_path(settings), context)


def make_userdb(settings: Mapping[str, str], context: DriverContext) -> JsonUserdb:
    return JsonUserdb(_path(settings), context)


def _path(settings: Mapping[str, str]) -> str:
    if "path" not in settings:
        raise ConfigError("json-users needs python_settings { path = … }")
    return settings["path"]
