"""The dictionaries of the configuration, opened when first asked for and kept."""

from __future__ import annotations

from roost.dict.api import Surroundings
from roost.dict.drivers import factory
from roost.dict.front import Dict
from roost.errors import ConfigError
from roost.settings import Config
from roost.settings.schema.dict import DictSettings


def open_dict(settings: DictSettings, surroundings: Surroundings = Surroundings()) -> Dict:  # noqa: B008 - frozen
    """A dict by its settings. Nothing is connected or read yet. Raises ConfigError."""
    make = factory(settings.driver or settings.name)
    return Dict(make(settings, surroundings), settings, lambda: make(settings, surroundings))


class Dicts:
    """``dict NAME { … }`` of a configuration, each opened once. For one event loop."""

    def __init__(self, config: Config, surroundings: Surroundings | None = None) -> None:
        self._settings = {one.name: one for one in config.elements(DictSettings, "dict")}
        self._surroundings = surroundings or Surroundings()
        self._open: dict[str, Dict] = {}

    def get(self, name: str) -> Dict:
        """Raises ConfigError."""
        found = self._open.get(name)
        if found is None:
            settings = self._settings.get(name)
            if settings is None:
                known = ", ".join(self._settings) or "none"
                raise ConfigError(f"there is no dict {name} (there are: {known})", key="dict")
            found = self._open[name] = open_dict(settings, self._surroundings)
        return found

    async def close(self) -> None:
        while self._open:
            await self._open.popitem()[1].close()
