"""Values between Python and Lua: nil, booleans, numbers, strings and tables; nothing else crosses.

Lua strings are octets. In Python they are ``str``, decoded as UTF-8 with ``surrogateescape``, which loses nothing:
``octets`` gives the octets back. On the way in ``str`` and ``bytes`` are both fine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roost.lua.runtime import LuaTable, lua_type

MAX_DEPTH = 32
MAX_ITEMS = 100_000
_INT_LIMIT = 1 << 63


class ScriptError(Exception):
    """Raised by a Python function or host operation: becomes ``error(text, 0)`` in the script."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A Lua value that cannot cross: only its type is known."""

    kind: str


LUA_TYPES = {type(None): "nil", bool: "boolean", int: "number", float: "number", str: "string", dict: "table"}


def type_name(value: Any) -> str:
    """What Lua's ``type`` says of a value that ``from_lua`` made."""
    return value.kind if isinstance(value, Opaque) else LUA_TYPES[type(value)]


def octets(text: str) -> bytes:
    """The octets of a string that came from Lua."""
    return text.encode("utf-8", "surrogateescape")


def text_from_lua(value: str) -> str:
    """A string as lupa gives it (latin-1) → text."""
    if value.isascii():
        return value
    return value.encode("latin-1").decode("utf-8", "surrogateescape")


def from_lua(value: Any, depth: int = 0) -> Any:
    """A Lua value as Python's: a table is a dict (keys text, int, float or bool); functions and threads become Opaque.

    Raises ScriptError for a table that is too deep (or contains itself) or too large.
    """
    kind = type(value)
    if kind is str:
        return text_from_lua(value)
    if value is None or kind is int or kind is bool or kind is float:
        return value
    if kind is not LuaTable:
        return Opaque(str(lua_type(value)))
    if depth >= MAX_DEPTH:
        raise ScriptError("table is nested too deeply")
    made: dict[Any, Any] = {}
    for key, item in value.items():
        if len(made) >= MAX_ITEMS:
            raise ScriptError("table has too many entries")
        made[text_from_lua(key) if type(key) is str else key] = from_lua(item, depth + 1)
    return made


def array_of(table: Mapping[Any, Any]) -> list[Any]:
    """The items 1, 2, … of a table that came from Lua, up to the first gap."""
    items: list[Any] = []
    while (item := table.get(len(items) + 1)) is not None:
        items.append(item)
    return items


def to_lua(runtime: Any, value: Any) -> Any:
    """A Python value as Lua's: a mapping becomes a table, a list or tuple an array; Lua's own values pass.

    Integers beyond 63 bits become floats, as Lua's literals do. Raises TypeError for anything else.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "surrogateescape")
    if value is None or kind is bool or kind is float or kind is bytes:
        return value
    if kind is int:
        return value if -_INT_LIMIT <= value < _INT_LIMIT else float(value)
    if kind is dict:
        made = {}
        for key, item in value.items():
            if type(key) is str and type(item) is str and key.isascii() and item.isascii():
                made[key] = item
            elif item is not None:
                made[to_lua(runtime, key)] = to_lua(runtime, item)
        return runtime.table_from(made)
    if kind is LuaTable:
        return value
    if isinstance(value, Mapping):
        return runtime.table_from({to_lua(runtime, k): to_lua(runtime, v) for k, v in value.items() if v is not None})
    if isinstance(value, (list, tuple)):
        return runtime.table_from([to_lua(runtime, item) for item in value])
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if lua_type(value) is not None:
        return value
    if isinstance(value, (str, int)):
        return to_lua(runtime, str(value) if isinstance(value, str) else int(value))
    raise TypeError(f"{kind.__name__} cannot cross into Lua")
