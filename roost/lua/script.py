"""One loaded script: its life from file or text to ``close``, with Dovecot's order of steps and its error texts.

``script = Script.from_file(path, …)`` compiles; ``await script.start(args)`` runs the top-level chunk and
``script_init``; ``await script.call("name", …)`` calls a global function; ``await script.close()`` runs
``script_deinit`` and frees the runtime. Every step may suspend on host operations. A Script serves one event loop;
calls that overlap share its globals (``pool.py`` keeps them apart). One that is never closed is never freed.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roost.errors import ConfigError
from roost.events.event import Event
from roost.events.log import Log
from roost.lua.api import dovecot, event
from roost.lua.api.base import Api, Function, HostOperation
from roost.lua.bridge import Bridge, LuaFailure, NoFunction
from roost.lua.modules import BUILT_IN
from roost.lua.runtime import LuaError, LuaTable
from roost.lua.values import from_lua
from roost.settings.schema.lua import LuaSettings


class Pushed(ABC):
    """A Python object that knows what it is in Lua."""

    @abstractmethod
    def push(self, script: Script) -> Any:
        """The Lua value, made for this script (with ``script.tool``)."""


ApiSource = Api | Callable[["Script"], Api]
"""A family, or what makes it for one script (when its functions need the script)."""

PLAIN = frozenset({str, int, bool, dict, float, bytes, LuaTable})
BASE: tuple[ApiSource, ...] = (dovecot.make, event.make, *BUILT_IN)


class Script:
    """A script with its own runtime. Make it with ``from_file`` or ``from_string``."""

    def __init__(
        self, name: str, text: bytes, chunk_name: str, api: Sequence[ApiSource], settings: LuaSettings, parent: Event
    ) -> None:
        self.name = name
        self.settings = settings
        self.event = Event(parent, categories=("lua",), fields={"script": name})
        self.parent = parent
        self.exhausted = False  # a call found no memory: the runtime may be full of what the script keeps
        self._tools: dict[str, Any] = {}
        self._started = False
        self._closed = False
        self._bridge = Bridge(_config(settings), self._trouble, self._deprecated)
        try:
            for family in (*BASE, *api):
                self.add(family if isinstance(family, Api) else family(self))
            self._top = self._bridge.load(text, chunk_name)
        except BaseException:
            self._bridge.close()
            raise

    # Making

    @classmethod
    def from_file(
        cls,
        path: str,
        api: Sequence[ApiSource] = (),
        settings: LuaSettings | None = None,
        *,
        event: Event | None = None,
        log: Log | None = None,
        text: bytes | None = None,
    ) -> Script:
        """Read and compile; ``text`` is what was read of it before. ``event`` is the creating subsystem's; without one,
        lines go to ``log``. Raises LuaFailure (``Lua script 'PATH': …``)."""
        if text is None:
            text = read_file(path)
        try:
            return cls(path, _without_first_line(text), "@" + path, api, settings or LuaSettings(), _root(event, log))
        except LuaFailure as error:
            raise LuaFailure(f"Lua script '{path}': lua_load({path}) failed: {error}", error.reason) from None

    @classmethod
    def from_string(
        cls,
        name: str,
        text: str | bytes,
        api: Sequence[ApiSource] = (),
        settings: LuaSettings | None = None,
        *,
        event: Event | None = None,
        log: Log | None = None,
    ) -> Script:
        """Compile text. ``name`` "" becomes the SHA-1 of the text in hex. Raises LuaFailure."""
        source = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        shown = name or hashlib.sha1(source, usedforsecurity=False).hexdigest()
        try:
            return cls(shown, source, "=<string>", api, settings or LuaSettings(), _root(event, log))
        except LuaFailure as error:
            raise LuaFailure(f"lua_load({name or '<string>'}) failed: {error}", error.reason) from None

    # Extending

    def register(self, name: str, members: Mapping[str, Any]) -> None:
        """Fill the table ``name`` (``dovecot.auth``) with constants, tables, functions and ``async`` functions."""
        self._bridge.members(name, members)

    def host(self, name: str, operation: HostOperation, blocking: Function | None = None) -> None:
        """Answer ``roost.host(name, …)`` of shims. ``blocking``: used where Lua cannot yield (see ``Api``)."""
        self._bridge.host(name, operation, blocking)

    def add(self, api: Api) -> None:
        """Give the script one family."""
        for name, operation in api.hosts.items():
            self._bridge.host(name, operation, api.blocking.get(name))
        if api.members:
            self._bridge.members(api.name, api.members)
        if api.source:
            self._bridge.api(api.name or "tools", api.source, api.name, api.functions)

    def keep(self, thing: object) -> int:
        """A number for a Python object that a Lua object stands for; see ``roost.new`` in ``tools.lua``."""
        return self._bridge.keep(thing)

    def kept(self, number: int) -> Any:
        """The object of a number. Raises ScriptError when it is gone."""
        return self._bridge.kept(number)

    def release(self, number: int) -> None:
        """Let go of what ``keep`` was given; for numbers whose Lua object has no finalizer."""
        self._bridge.release(number)

    def push(self, value: Any) -> Any:
        """A Python value as a Lua one, for ``call``. Events become event objects, mappings tables, ``Pushed`` what
        they make of themselves."""
        kind = type(value)
        if kind in PLAIN or value is None:
            return self._bridge.to_lua(value)
        if isinstance(value, Pushed):
            return value.push(self)
        if isinstance(value, Event):
            return self._bridge.tools.push_event(self.keep(value))
        return self._bridge.to_lua(value)

    def deprecated(self, construct: str, text: str) -> None:
        """Tell the author of an old form: once for each ``construct``, and only where both dialects hold."""
        self.tool("deprecated", construct, text)

    def tool(self, name: str, *args: Any) -> Any:
        """Call a function that a shim has put into the toolbox (``function roost.NAME(…)``): a quick one, without
        limits, that does not suspend. → Lua values."""
        return self.tool_function(name)(*[self.push(arg) for arg in args])

    def tool_function(self, name: str) -> Any:
        """The Lua function behind ``tool``, for callers whose arguments are Lua's already."""
        found = self._tools.get(name)
        if found is None:
            found = self._tools[name] = self._bridge.tools[name]
        return found

    def table(self, values: Mapping[str, str | None]) -> Any:
        """A Lua table of texts; the keys are ASCII."""
        return self._bridge.text_table(values)

    # Using

    async def start(self, args: Mapping[str, str] | None = None) -> None:
        """Run the top-level chunk, then ``script_init(args)`` (by default ``lua_settings``). Raises LuaFailure."""
        self._started = True
        try:
            await self._bridge.run(self._top, ())
        except LuaFailure as error:
            raise LuaFailure(f"lua_pcall({self.name}) failed: {error}", error.reason) from None
        finally:
            self._top = None
        if not self.has("script_init"):
            return
        if self.settings.lua_compat == "2.3":
            result = await self.call("script_init", results=1)
            if type(result[0]) is not int and type(result[0]) is not float:
                raise LuaFailure("script_init() returned non-number")
            if result[0] != 0:
                raise LuaFailure("Script init failed")
            return
        given = self.settings.lua_settings if args is None else args
        await self.call("script_init", {key: str(value) for key, value in given.items()}, results=0)

    def has(self, name: str) -> bool:
        """Whether the script has a global function of this name (metatables of its globals ignored)."""
        return self._bridge.has(name)

    async def call(self, name: str, *values: Any, results: int = -1) -> tuple[Any, ...]:
        """Call a global function. → plain Python values (a table is a dict); ``results`` ≥ 0: exactly so many, None for
        missing ones. Raises LuaFailure with Dovecot's text and the traceback."""
        return tuple([from_lua(value) for value in await self.call_raw(name, *values, results=results)])

    async def call_raw(self, name: str, *values: Any, results: int = -1) -> tuple[Any, ...]:
        """Like ``call``, with the results as Lua gave them: strings latin-1, tables and functions Lua's own, which may
        be given to another call of the same script."""
        self._check_room()
        try:
            found = await self._bridge.run(name, tuple([self.push(value) for value in values]))
        except NoFunction:
            raise
        except LuaFailure as error:
            raise self._failed(name, len(values), results, error) from None
        if results < 0 or len(found) == results:
            return found
        return found[:results] if len(found) > results else found + (None,) * (results - len(found))

    async def call_made(self, make: str, name: str, parts: tuple[Any, ...], *more: str) -> tuple[Any, ...]:
        """``call_raw`` of a hook with two results, whose first argument the tool ``make`` makes of ``parts``, which
        are Lua's already, in the same step; ``more`` are its others. → at most its results, as Lua gave them."""
        self._check_room()
        if more:
            parts += tuple([self._bridge.to_lua(text) for text in more])
        try:
            return await self._bridge.run(name, parts, self.tool_function(make))
        except NoFunction:
            raise
        except LuaFailure as error:
            raise self._failed(name, 1 + len(more), 2, error) from None

    def _check_room(self) -> None:
        if self._closed:
            raise LuaFailure(f"Lua script '{self.name}' is closed")
        if self._bridge.running >= self.settings.lua_max_calls:
            raise LuaFailure("too many unfinished calls (lua_max_calls)")

    def _failed(self, name: str, count: int, results: int, error: LuaFailure) -> LuaFailure:
        if error.reason.endswith("not enough memory"):
            self.exhausted = True
        return LuaFailure(f"lua_pcall({name}, {count}, {results}) failed: {error}", error.reason)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def running(self) -> int:
        """Unfinished calls."""
        return self._bridge.running

    async def close(self) -> None:
        """Run ``script_deinit``, drop the runtime. A failure is only logged. Twice is fine."""
        if self._closed:
            return
        try:
            if self._started and self.has("script_deinit"):
                await self.call("script_deinit", results=0)
        except LuaFailure as error:
            self.event.log_error(f"script_deinit() failed: {error}")
        finally:
            self._closed = True
            self._tools.clear()
            self._bridge.close()

    # Telling

    def _trouble(self, what: str, error: BaseException) -> None:
        log = self.event.log
        if log is not None:
            log.exception(f"Lua script '{self.name}': {what}: {type(error).__name__}", exc=error)

    def _deprecated(self, text: str) -> None:
        self.event.log_warning(f"Lua script '{self.name}': {text}")


def read_file(path: str) -> bytes:
    """The text of a script. Raises LuaFailure."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise LuaFailure(f"Lua script '{path}': access({path}) failed: {reason}") from None


def check_file(settings: LuaSettings) -> str:
    """The path of ``lua_file``. Raises ConfigError with Dovecot's texts when it is empty or inline text."""
    if not settings.lua_file:
        raise ConfigError("lua_file setting is empty")
    if "\n" in settings.lua_file or settings.lua_file.startswith("inline:"):
        raise ConfigError("Lua doesn't support inline content for lua_file")
    return settings.lua_file


def _config(settings: LuaSettings) -> dict[str, Any]:
    restricted = settings.lua_trust == "restricted"
    limited = restricted or settings.LIMITED
    return {
        "trust": settings.lua_trust,
        "compat": settings.lua_compat,
        "lua_path": search_path(settings.lua_path, system=not restricted),
        "instruction_limit": settings.lua_instruction_limit if limited else 0,
        "memory_limit_octets": settings.lua_max_memory_octets if limited else 0,
    }


def search_path(setting: str, *, system: bool) -> str:
    """``lua_path`` as ``package.path``: directories become templates; ``system`` adds where modules get installed."""
    templates = []
    for item in filter(None, setting.replace(";", ":").split(":")):
        templates += [item] if "?" in item else [f"{item}/?.lua", f"{item}/?/init.lua"]
    if system:
        for base in ("/usr/local/share/lua/5.4", "/usr/share/lua/5.4"):
            templates += [f"{base}/?.lua", f"{base}/?/init.lua"]
    return ";".join(templates)


def _root(event: Event | None, log: Log | None) -> Event:
    return event if event is not None else Event(log=log if log is not None else Log("lua: "))


def _without_first_line(text: bytes) -> bytes:
    """As luaL_loadfile: a byte order mark is skipped, and a first line that begins with ``#`` (its LF stays)."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"#"):
        end = text.find(b"\n")
        return text[end:] if end >= 0 else b""
    return text


__all__ = ["ApiSource", "LuaError", "LuaFailure", "Pushed", "Script", "check_file", "read_file", "search_path"]
