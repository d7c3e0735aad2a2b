"""The formatters of ``doveadm -f``: FORMATS names them and the file each is in (loaded when it is used)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from roost.errors import Unavailable
from services.doveadm.output.base import Column, Formatter, Screen

FORMATS: Mapping[str, tuple[str, str]] = {
    "flow": ("flow", "Flow"),
    "pager": ("pager", "Pager"),
    "tab": ("tab", "Tab"),
    "table": ("table", "Table"),
    "json": ("json", "Json"),
}


def formatter(name: str, screen: Screen) -> Formatter:
    """Raises Unavailable (exit status 75, as in Dovecot) for an unknown name."""
    found = FORMATS.get(name)
    if found is None:
        raise Unavailable(f"Unknown print formatter: {name} (there are: {', '.join(FORMATS)})")
    module, factory = found
    make = cast("Callable[[Screen], Formatter]", vars(import_module(f"services.doveadm.output.{module}"))[factory])
    return make(screen)


__all__ = ["FORMATS", "Column", "Formatter", "Screen", "formatter"]
