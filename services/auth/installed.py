"""Drivers that other packages bring: entry points of the groups ``roost.passdb`` and ``roost.userdb``.

An entry point's name is the driver's name; the built-in drivers come first. It names a factory
(``roost.auth.api.PassdbFactory``, ``UserdbFactory``), which gets the block's ``python_settings``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from importlib import metadata
from typing import Any, cast

from roost.errors import ConfigError, RoostError


def installed(
    group: str, kind: str, name: str, built_in: Iterable[str], *, key: str
) -> Callable[[Mapping[str, str], Any], Any]:
    """The factory of this name. Raises ConfigError: there is none, or it cannot be loaded."""
    points = {point.name: point for point in metadata.entry_points(group=group)}
    point = points.get(name)
    if point is None:
        known = ", ".join([*built_in, *sorted(set(points) - set(built_in))])
        raise ConfigError(f"Unknown {kind} driver '{name}' (there are: {known})", key=key)
    try:
        factory = point.load()
    except Exception as error:
        raise ConfigError(f"{name}: cannot load {point.value}: {error}", key=key) from error
    if not callable(factory):
        raise ConfigError(f"{name}: {point.value} is no function", key=key)
    return guarded(cast(Callable[[Mapping[str, str], Any], Any], factory), name, key)


def guarded(factory: Callable[[Mapping[str, str], Any], Any], name: str, key: str) -> Callable[..., Any]:
    """The same factory; whatever it raises becomes a ConfigError that names the block."""

    def make(settings: Mapping[str, str], context: Any) -> Any:
        try:
            driver = factory(settings, context)
        except RoostError as error:
            why = error.why if isinstance(error, ConfigError) else str(error)
            raise ConfigError(f"{name}: {why}", key=key) from error
        except Exception as error:
            raise ConfigError(f"{name}: {type(error).__name__}: {error}", key=key) from error
        if not hasattr(driver, "find"):
            raise ConfigError(f"{name}: the driver has no method find", key=key)
        return driver

    return update_wrapper(make, factory, assigned=(), updated=())  # its attributes stay in reach
