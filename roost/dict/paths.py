"""Where a driver's file is: the template of the configuration with the user put in as harmless components."""

from __future__ import annotations

from roost.dict.api import Surroundings
from roost.errors import ConfigError, Unavailable
from roost.settings.template import parse
from roost.settings.variables import expand_path


class PathTemplate:
    """``alone``: the path is of one user only, so private keys in it need no user's name."""

    def __init__(self, template: str, key: str, surroundings: Surroundings) -> None:
        """Raises ConfigError when the setting ``key`` is empty or relative."""
        if not template:
            raise ConfigError("this dict driver needs it", key=key)
        if not template.startswith(("/", "~/", "%{")):
            raise ConfigError(f"'{template}' is no absolute path", key=key)
        self._template = "%{home}" + template[1:] if template.startswith("~/") else template
        self._home = surroundings.home
        names, bare = set(), set()
        for part in parse(self._template):
            if not isinstance(part, str) and part.source is not None:
                names.add(part.source.name)
                if not part.filters:
                    bare.add(part.source.name)
        self._variable = "%{" in self._template
        self._needs_home = "home" in names
        self.alone = bool(bare & {"user", "home"}) or {"username", "domain"} <= bare

    async def of(self, user: str) -> str:
        """Raises Unavailable, Refused (a name that cannot be a path), ConfigError (unknown variable)."""
        if not self._variable:
            return self._template
        if not user:
            raise Unavailable("This dict needs a username", detail=f"for its path {self._template}")
        name, _, domain = user.partition("@")
        variables = {"user": user, "username": name, "domain": domain}
        if self._needs_home:
            variables["home"] = await self._home(user)
        return expand_path(self._template, variables)
