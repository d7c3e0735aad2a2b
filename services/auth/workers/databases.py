"""The databases of a worker: found by the name the auth room gives them, built when first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from roost.auth.api import Passdb, Userdb, variables_of
from roost.errors import Unavailable
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from services.auth.workers.naming import database_id

UNKNOWN_VARIABLES = "?"


class Drivers(Protocol):
    """Who makes drivers (``services.auth.build.Builder``). Raises ConfigError."""

    def passdb_driver(self, settings: PassdbSettings) -> Passdb: ...

    def userdb_driver(self, settings: UserdbSettings) -> Userdb: ...


class Blocks(Protocol):
    """What is read of the configuration."""

    def passdbs_of(self, protocol: str) -> Iterable[PassdbSettings]: ...

    def userdbs_of(self, protocol: str) -> Iterable[UserdbSettings]: ...


class DatabasesOfWorker:
    """Each database once a process."""

    def __init__(self, config: Blocks, drivers: Drivers) -> None:
        self._config = config
        self._drivers = drivers
        self._passdbs: dict[str, Passdb] = {}
        self._userdbs: dict[str, Userdb] = {}

    async def passdb(self, name: str, service: str) -> Passdb:
        """Raises ConfigError, Unavailable."""
        found = self._passdbs.get(name)
        if found is None:
            settings = next((one for one in self._config.passdbs_of(service) if database_id(one) == name), None)
            if settings is None:
                raise Unavailable("Unknown database.", detail=f"the worker's configuration has no passdb {name}")
            found = self._drivers.passdb_driver(settings)
            await _started(found)
            found = self._passdbs.setdefault(name, found)
        return found

    async def userdb(self, name: str, service: str) -> Userdb:
        """Raises ConfigError, Unavailable."""
        found = self._userdbs.get(name)
        if found is None:
            settings = next((one for one in self._config.userdbs_of(service) if database_id(one) == name), None)
            if settings is None:
                raise Unavailable("Unknown database.", detail=f"the worker's configuration has no userdb {name}")
            found = self._drivers.userdb_driver(settings)
            await _started(found)
            found = self._userdbs.setdefault(name, found)
        return found

    async def close(self) -> None:
        """End what drivers hold; each gets its turn, whatever the others do."""
        for driver in (*self._passdbs.values(), *self._userdbs.values()):
            close = getattr(driver, "close", None)
            if close is not None:
                try:
                    result = close()
                    if hasattr(result, "__await__"):
                        await result
                except Exception:
                    continue


async def _started(driver: Passdb | Userdb) -> None:
    """Drivers may have a ``start`` that waits; it is done before the first question."""
    start = getattr(driver, "start", None)
    if start is not None:
        await start()


def traits_of(driver: Passdb | Userdb) -> Mapping[str, str]:
    """What the auth room is to know of a driver that it does not have itself."""
    variables = variables_of(driver)
    traits = {"variables": UNKNOWN_VARIABLES if variables is None else ",".join(sorted(variables))}
    decoy = getattr(driver, "decoy", None)
    if decoy is not None and not getattr(driver, "verifies", False):
        traits["decoy"] = decoy()
    return traits


def variables_in(text: str) -> frozenset[str] | None:
    """The trait ``variables`` of INFO."""
    return None if text == UNKNOWN_VARIABLES else frozenset(one for one in text.split(",") if one)
