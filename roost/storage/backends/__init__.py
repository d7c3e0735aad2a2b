"""The stores by driver name (``mail_driver``): the built-in table first, then entry points of group ``roost.backends``.

An entry point names a factory: ``factory(context: BackendContext) -> Backend``.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import cast

from roost.errors import ConfigError
from roost.storage.api import Backend, BackendContext, BackendFactory

# Imported on first use: a room that runs on memory never loads SQLite.
BACKENDS: dict[str, str] = {
    "memory": "roost.storage.backends.memory:open_memory",
    "sqlite": "roost.storage.backends.sqlite:open_sqlite",
}

GROUP = "roost.backends"


def open_backend(driver: str, context: BackendContext) -> Backend:
    """A backend, not yet started. Raises ConfigError for an unknown driver or one that cannot be loaded."""
    return _factory(driver)(context)


def _factory(driver: str) -> BackendFactory:
    target = BACKENDS.get(driver)
    if target is not None:
        module, _, name = target.partition(":")
        return cast(BackendFactory, getattr(importlib.import_module(module), name))
    found = metadata.entry_points(group=GROUP)
    for point in found:
        if point.name == driver:
            try:
                return cast(BackendFactory, point.load())
            except Exception as exc:
                raise ConfigError(f"{driver}: cannot load {point.value}: {exc}", key="mail_driver") from exc
    known = ", ".join([*BACKENDS, *sorted({point.name for point in found} - set(BACKENDS))])
    raise ConfigError(f"unknown driver {driver!r}; there are: {known}", key="mail_driver")
