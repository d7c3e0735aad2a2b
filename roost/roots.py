"""Refuse to start when ``master``, ``services`` and ``roost`` do not come from one place.

PyPI has unrelated distributions that install packages called ``master`` and ``services``; mixing them in would run a
stranger's code as root. Every entry point calls ``check`` first.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from roost.errors import ConfigError

ROOTS = ("roost", "master", "services")


def check() -> None:
    """Raises: ConfigError when a root is missing or lives elsewhere."""
    places = {name: _parent(name) for name in ROOTS}
    if len(set(places.values())) != 1 or None in places.values():
        found = ", ".join(f"{name} in {place or 'nowhere'}" for name, place in places.items())
        raise ConfigError(
            f"the parts of Roost are not in one folder ({found}); install it alone in a virtual environment"
        )


def _parent(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve().parent.parent
