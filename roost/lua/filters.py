"""``%{value | lua_call(…)}`` and ``%{value | lua_file(…)}``: Lua functions as filters of templates.

A function is given the arguments and, last, the value; it returns a code and a text. Templates are expanded at once, so
it cannot wait: HTTP, dicts and mailboxes are out of its reach. Scripts of ``lua_file`` are kept by their path.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from roost.events.event import Event
from roost.lua.script import ApiSource, LuaFailure, Script
from roost.lua.values import octets
from roost.settings.filters.value import FilterError
from roost.settings.schema.lua import LuaSettings

MAX_FILES = 100
WAITS = "a Lua function in a template cannot wait for anything"
T = TypeVar("T")


class LuaFiles:
    """The scripts of ``lua_file`` in one process."""

    def __init__(self, settings: LuaSettings, families: Sequence[ApiSource], event: Event) -> None:
        self._settings = settings
        self._families = families
        self._event = event
        self._scripts: dict[str, Script] = {}

    def run(self, arguments: list[bytes]) -> bytes:
        """path, function, its arguments → its text. Raises FilterError."""
        path, name, *rest = arguments
        try:
            return call(self._script(path.decode("utf-8", "surrogateescape")), _text(name), rest)
        except LuaFailure as error:
            raise FilterError(error.reason) from None

    def _script(self, path: str) -> Script:
        script = self._scripts.get(path)
        if script is None:
            if len(self._scripts) >= MAX_FILES:
                raise FilterError("too many Lua scripts")
            script = Script.from_file(path, self._families, self._settings, event=self._event)
            try:
                at_once(script.start({}))
            except BaseException:
                at_once(script.close())
                raise
            self._scripts[path] = script
        return script

    async def close(self) -> None:
        for script in self._scripts.values():
            await script.close()
        self._scripts.clear()


def call(script: Script, name: str, arguments: Sequence[Any]) -> bytes:
    """Call a function that returns code and text. Raises FilterError."""
    try:
        code, text = at_once(script.call(name, *arguments, results=2))
    except LuaFailure as error:
        raise FilterError(error.reason) from None
    if not isinstance(code, int | float) or isinstance(code, bool):
        raise FilterError(f"{name}() returned no number as code")
    if code < 0:
        raise FilterError(f"{name}() failed: {text if isinstance(text, str) else code}")
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        raise FilterError(f"{name}() returned no text")
    return octets(text)


def at_once(coro: Coroutine[Any, Any, T]) -> T:
    """The result of what does not wait. Raises FilterError when it does, and what it raises."""
    try:
        coro.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    coro.close()
    raise FilterError(WAITS)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
