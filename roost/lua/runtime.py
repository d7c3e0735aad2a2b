"""The only file that knows lupa: a fresh Lua 5.4 state (5.3 in a run of the tests), with nothing of Python inside it.

Strings cross octet by octet: Lua's are latin-1 text here, and ``bytes`` is taken as a string on the way in (see
``values.py``). Never ``import lupa`` alone: that is another Lua version.
"""

from __future__ import annotations

import os
from typing import Any

if os.environ.get("ROOST_TEST_LUA") == "lua53":  # for tests only: the other version that Dovecot is built with
    from lupa.lua53 import LuaError, LuaMemoryError, LuaRuntime, LuaSyntaxError, lua_type
else:
    from lupa.lua54 import LuaError, LuaMemoryError, LuaRuntime, LuaSyntaxError, lua_type

__all__ = ["LuaError", "LuaMemoryError", "LuaSyntaxError", "LuaTable", "lua_type", "new_runtime"]

LuaTable = type(LuaRuntime(register_eval=False, register_builtins=False).table())
"""What a Lua table is in Python."""

MIN_LIMIT_OCTETS = 256 * 1024  # a smaller limit could not hold the libraries


_FIRST = (
    "python = nil; package.loaded.python = nil; "
    "if _VERSION == 'Lua 5.3' then math.randomseed(os.time()) else math.randomseed() end"
)


def new_runtime() -> Any:
    """A Lua state with the standard libraries and no ``python`` table.

    It keeps count of its memory, so that ``set_max_memory`` works; no limit holds yet. A limit may hold only while Lua
    code runs: when lupa pushes a value at the limit the process is lost. ``core.lua`` turns it on and off.
    """
    runtime = LuaRuntime(
        encoding="latin-1",
        source_encoding="utf-8",
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        max_memory=0,
    )
    runtime.execute(_FIRST)
    return runtime
