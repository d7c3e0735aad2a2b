"""Between Lua's coroutines and asyncio's tasks: every call of a script is a coroutine, every host operation a yield.

``run`` starts one and awaits what it yields for, until it returns. Where Lua cannot yield (``table.sort``, ``gsub``,
``__tostring``) the operation runs in a helper thread on a loop of its own while this thread waits: correct, and slow.
A cancelled call is simply dropped: Lua collects the coroutine.

This is the only file of the package that knows asyncio. One bridge belongs to one thread at a time.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from roost.errors import RoostError
from roost.lua.api.base import Function, HostOperation
from roost.lua.runtime import MIN_LIMIT_OCTETS, LuaError, new_runtime
from roost.lua.values import ScriptError, from_lua, text_from_lua, to_lua

_HERE = Path(__file__)
_SOURCES = {name: _HERE.with_name(name + ".lua").read_text() for name in ("core", "sandbox", "tools")}
_OWN_FRAME = re.compile(r"\n\t(?:\[roost[^\n]*|\[C\]: in function 'xpcall')(?=\n|\Z)")

_FROM = frozenset({type(None), bool, int, float})  # cross as they are
_TO = frozenset({type(None), bool, bytes})

Waiter = asyncio.Future[None]
Lock = asyncio.Lock
OnTrouble = Callable[[str, BaseException], None]


class LuaFailure(Exception):
    """A script failed; the text is Dovecot's, with the traceback after its first line. ``reason`` has neither."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


class NoFunction(LuaFailure):
    """The script has no such global function."""


class Bridge:
    """One Lua runtime with one script's environment in it.

    ``config``: trust, compat, lua_path, instruction_limit, memory_limit_octets. ``on_trouble(what, exception)`` hears
    of exceptions in Python functions that are no ScriptError: our bugs. The script sees ``internal error`` then.
    """

    def __init__(self, config: Mapping[str, Any], on_trouble: OnTrouble, on_deprecated: Callable[[str], None]) -> None:
        self._runtime: Any = new_runtime()
        self._limit = int(config.get("memory_limit_octets", 0))
        self._hosts: dict[str, HostOperation] = {}
        self._blocking: dict[str, Function] = {}
        self._trouble = on_trouble
        self._kept: dict[int, object] = {}
        self._next_id = 0
        self.running = 0  # calls not finished
        table = self._runtime.table_from
        py = {
            "arm": self._arm,
            "disarm": self._disarm,
            "blocking": self._run_blocking,
            "release": self.release,
            "deprecated": self.function(on_deprecated),
        }
        self._core: Any = self._chunk("core")(
            table(
                {
                    "memory_limited": self._limit > 0,
                    "instruction_limit": config.get("instruction_limit", 0),
                    "trust": config.get("trust", "full"),
                    "compat": config.get("compat", "lenient"),
                    "lua_path": config.get("lua_path", ""),
                }
            ),
            table(py),
        )
        self._env, self._load = self._chunk("sandbox")(self._core, self._core.config)
        self._tools = self._chunk("tools")(self._core, self._env, self._core.py)
        self._enter: Any = self._core.enter
        self._enter_made: Any = self._core.enter_made

    def _chunk(self, name: str) -> Any:
        return self._runtime.compile(_SOURCES[name], name=f"=[roost {name}]", mode="t")

    # Memory limit: see core.lua. Neither may return a value or raise.

    def _arm(self) -> None:
        self._runtime.set_max_memory(max(self._limit, MIN_LIMIT_OCTETS))

    def _disarm(self) -> None:
        self._runtime.set_max_memory(0)

    # Objects that scripts hold

    def keep(self, thing: object) -> int:
        """A number that stands for ``thing`` in Lua (``roost.new(id, meta)``), until the script has let go of it."""
        self._next_id += 1
        self._kept[self._next_id] = thing
        return self._next_id

    def kept(self, number: int) -> Any:
        """What ``keep`` was given. Raises ScriptError when it is gone."""
        try:
            return self._kept[number]
        except KeyError:
            raise ScriptError("object is no longer valid") from None

    def release(self, number: int) -> None:
        """``keep`` undone. Again is fine."""
        self._kept.pop(number, None)

    # Making functions

    def function(self, function: Function) -> Any:
        """A Python function as core.wrap wants it: (True, values…) or (False, text); it never raises."""

        def called(*args: Any) -> Any:
            try:
                value = function(*[from_lua(arg) for arg in args])
                if type(value) is tuple:
                    return (True, *[to_lua(self._runtime, item) for item in value])
                return (True, to_lua(self._runtime, value))
            except ScriptError as error:
                return (False, to_lua(self._runtime, str(error)))
            except RoostError as error:
                return (False, to_lua(self._runtime, error.client_text))
            except Exception as error:
                self._trouble(getattr(function, "__qualname__", "function"), error)
                return (False, "internal error")

        return called

    def host(self, name: str, operation: HostOperation, blocking: Function | None = None) -> None:
        """Let shims ask for ``roost.host(name, …)``."""
        self._hosts[name] = operation
        if blocking is not None:
            self._blocking[name] = blocking

    def api(self, name: str, source: str, target: str, functions: Mapping[str, Function]) -> None:
        """Run the Lua part of an Api."""
        place = self._tools.table_at(target) if target else self._runtime.table()
        py = self._runtime.table_from({key: self.function(value) for key, value in functions.items()})
        chunk = self._runtime.compile(source, name=f"=[roost {name}]", mode="t")
        chunk(self._tools, place, self._tools.wrap_all(py))

    def members(self, target: str, members: Mapping[str, Any]) -> None:
        """Fill a table of the script with constants, functions and tables."""
        place = self._tools.table_at(target)
        for key, value in members.items():
            if isinstance(value, Mapping):
                self.members(f"{target}.{key}", value)
            elif inspect.iscoroutinefunction(value):
                name = f"{target}.{key}"
                self.host(name, value)
                place[key] = self._tools["async"](name)
            elif callable(value):
                place[key] = self._core.wrap(self.function(value))
            else:
                place[key] = to_lua(self._runtime, value)

    def to_lua(self, value: Any) -> Any:
        """A plain Python value as Lua's (``values.to_lua``)."""
        return to_lua(self._runtime, value)

    def text_table(self, values: Mapping[str, str | None]) -> Any:
        """``to_lua`` of a mapping of texts with ASCII keys."""
        try:
            if "".join(values.values()).isascii():  # type: ignore[arg-type]  # None is caught
                return self._runtime.table_from(values)
        except TypeError:
            pass
        return to_lua(self._runtime, dict(values))

    @property
    def tools(self) -> Any:
        """The toolbox table (``tools.lua``)."""
        return self._tools

    # Loading and finding

    def load(self, text: bytes, chunk_name: str) -> Any:
        """A chunk of the script's. Raises LuaFailure with Lua's message."""
        result = self._load(text, chunk_name.encode("utf-8", "surrogateescape"))
        if isinstance(result, tuple):
            raise LuaFailure(text_from_lua(result[1]))
        return result

    def has(self, name: str) -> bool:
        """Whether the script has a global function of this name, by raw access."""
        return bool(self._core.has(name))

    # Running

    async def run(self, function: Any, args: tuple[Any, ...], make: Any = None) -> tuple[Any, ...]:
        """Call a Lua function, or the script's global one of a name, and await what it waits for. → its results as Lua
        gave them. Raises LuaFailure; NoFunction when there is none of this name.

        ``args`` are already Lua's (``to_lua``). ``make``: a Lua function that makes them of the call's state and these.
        """
        if self._runtime is None:
            raise LuaFailure("script is closed")
        if make is None:
            coroutine = self._enter.coroutine(function, *args)
        else:
            coroutine = self._enter_made.coroutine(make, function, *args)
        self.running += 1
        try:
            out = next(coroutine)
            while coroutine:
                try:
                    value = await self._hosts[out[1]](
                        *[arg if type(arg) in _FROM else from_lua(arg) for arg in out[2:]]
                    )
                    reply = self._reply(value)
                except Exception as error:
                    reply = self._refusal(out[1], error)
                if self._runtime is None:
                    raise LuaFailure("script was closed while it waited")
                out = coroutine.send(reply)
        except LuaError as error:  # outside core.lua's protection: only when its own steps found no memory
            self._disarm()
            raise LuaFailure(text_from_lua(str(error)) or "not enough memory") from None
        finally:
            self.running -= 1
        if out is True:
            return ()
        if out is None:
            raise NoFunction(f"'{function}' is not a function")
        if out[0]:
            return tuple(out[1:])
        text = _OWN_FRAME.sub("", text_from_lua(out[1]))
        raise LuaFailure(text, text.partition("\nstack traceback:")[0])

    def _reply(self, value: Any) -> tuple[Any, ...]:
        """What a host operation gave → what the script is resumed with."""
        runtime = self._runtime
        if runtime is None:
            return (False, "script is closed")
        if type(value) is tuple:
            return (True, *[item if type(item) in _TO else to_lua(runtime, item) for item in value])
        return (True, to_lua(runtime, value))

    def _refusal(self, what: Any, error: Exception) -> tuple[Any, ...]:
        if isinstance(error, ScriptError):
            return (False, to_lua(self._runtime, str(error)))
        if isinstance(error, RoostError):
            return (False, to_lua(self._runtime, error.client_text))
        self._trouble(str(what), error)
        return (False, "internal error")

    def _run_blocking(self, name: str, *args: Any) -> Any:
        plain = self._blocking.get(name)
        if plain is None:
            operation = self._hosts[name]

            def plain(*values: Any) -> Any:
                async def whole() -> Any:
                    return await operation(*values)

                return asyncio.run(whole())

        return self.function(lambda *values: _in_thread(plain, values))(*args)

    def close(self) -> None:
        """Drop the runtime: Lua frees everything once no call runs any more."""
        self._runtime = self._core = self._env = self._load = self._tools = None
        self._enter = self._enter_made = None
        self._hosts.clear()
        self._blocking.clear()
        self._kept.clear()


def new_waiter() -> Waiter:
    """A future of the running loop (``pool.py`` queues with them)."""
    return asyncio.get_running_loop().create_future()


def _in_thread(function: Function, values: tuple[Any, ...]) -> Any:
    """``function(*values)`` in a helper thread; its result or its exception."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.extend((True, function(*values)))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=work, name="lua-blocking", daemon=True)
    thread.start()
    thread.join()
    if outcome[0]:
        return outcome[1]
    raise outcome[1]
