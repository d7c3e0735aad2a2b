"""Scripts that are shared by their path: loaded once in a process, freed when the last user lets go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from roost.lua.bridge import Lock
from roost.lua.script import Script

Load = Callable[[str], Awaitable[Script]]
"""Loads and starts the script of a path. Raises LuaFailure."""


class Library:
    """One per process, or per kind of user."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._held: dict[str, tuple[Script, int]] = {}
        self._lock = Lock()

    async def take(self, path: str) -> Script:
        """The script of ``path``; to be given back by ``release``."""
        async with self._lock:
            script, users = self._held.get(path, (None, 0))
            if script is None:
                script = await self._load(path)
            self._held[path] = (script, users + 1)
            return script

    async def release(self, script: Script) -> None:
        """The last one closes it."""
        async with self._lock:
            held, users = self._held.get(script.name, (None, 0))
            if held is not script:
                return
            if users > 1:
                self._held[script.name] = (script, users - 1)
                return
            del self._held[script.name]
        await script.close()

    async def close(self) -> None:
        """Close all, whoever still holds one."""
        async with self._lock:
            scripts = [script for script, _ in self._held.values()]
            self._held.clear()
        for script in scripts:
            await script.close()
