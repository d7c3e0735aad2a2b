"""The dict drivers by name: the built-in table first, then entry points of group ``roost.dict``.

An entry point names a factory: ``factory(settings: DictSettings, surroundings: Surroundings) -> Driver``; its own
settings are in ``settings.python_settings``.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import cast

from roost.dict.api import Factory
from roost.errors import ConfigError

# Imported on first use: a process without a sqlite dict loads no SQLite, one without Redis no client.
DICTS: dict[str, str] = {
    "memory": "roost.dict.drivers.memory:open_memory",
    "file": "roost.dict.drivers.file:open_file",
    "sqlite": "roost.dict.drivers.sqlite:open_sqlite",
    "redis": "roost.dict.drivers.redis:open_redis",
    "fail": "roost.dict.drivers.fail:open_fail",
}

GROUP = "roost.dict"


def factory(driver: str) -> Factory:
    """Raises ConfigError for an unknown driver or one that cannot be loaded."""
    target = DICTS.get(driver)
    if target is not None:
        module, _, name = target.partition(":")
        try:
            return cast(Factory, vars(importlib.import_module(module))[name])
        except ImportError as error:
            why = f"{driver} needs a package that is not installed ({error.name}): pip install 'roost[{driver}]'"
            raise ConfigError(why, key="dict_driver") from None
    points = metadata.entry_points(group=GROUP)
    for point in points:
        if point.name == driver:
            try:
                return cast(Factory, point.load())
            except Exception as error:
                raise ConfigError(f"{driver}: cannot load {point.value}: {error}", key="dict_driver") from error
    known = ", ".join([*DICTS, *sorted({point.name for point in points} - set(DICTS))])
    raise ConfigError(f"Unknown dict module: {driver} (there are: {known})", key="dict_driver")
