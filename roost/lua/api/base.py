"""What a family of functions given to scripts is: the equal of Dovecot's ``dlua_dovecot_register``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roost.lua.values import ScriptError

Function = Callable[..., Any]
"""Plain values in, one plain value or a tuple of them out (``values.py``). ScriptError raises in the script. It runs on
the loop, so it must not wait."""

HostOperation = Callable[..., Awaitable[Any]]
"""Like ``Function``, but awaited: the script is suspended, the process is not."""


@dataclass(frozen=True)
class Api:
    """One family.

    ``name``: the table it fills, made when missing (``dovecot.http``; "" for tools only). ``members`` become members of
    that table: constants, tables (mappings), plain functions and ``async`` functions.

    ``source`` is a Lua chunk for what plain functions cannot express (objects with methods, varargs, checks). It runs
    in the real globals, once, as ``chunk(roost, target, py)``: ``roost`` is the toolbox of ``tools.lua``, ``target``
    the table, ``py`` the table of ``functions``. Host operations are called as ``roost.host("NAME", …)`` with a name of
    ``hosts``, which is process-wide unique by its prefix (``http.submit``).

    ``blocking``: for a host operation, what is run in a helper thread where Lua cannot yield (inside table.sort or
    gsub); without it the operation itself is run there, on a loop of its own.
    """

    name: str
    members: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    functions: Mapping[str, Function] = field(default_factory=dict)
    hosts: Mapping[str, HostOperation] = field(default_factory=dict)
    blocking: Mapping[str, Function] = field(default_factory=dict)


def lua_text(python_file: str, name: str) -> str:
    """The Lua file ``name`` that lies beside ``python_file`` (``__file__``)."""
    return Path(python_file).with_name(name).read_text()


__all__ = ["Api", "Function", "HostOperation", "ScriptError", "lua_text"]
