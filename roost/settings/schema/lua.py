"""Lua scripts: the settings of every block that runs one (``passdb lua``, ``userdb lua``, ``mail_lua``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, ENUM, FILE, SIZE, STR, STRLIST, UINT, setting

TRUST = ("full", "restricted")
COMPAT = ("lenient", "2.3", "2.4")
MAIL_LUA = "mail_lua"


@dataclass(frozen=True, kw_only=True)
class LuaSettings:
    """One script's settings. The class is embedded where a block may name a script."""

    LIMITED: ClassVar[bool] = False
    """The limits hold for scripts of full trust too."""

    lua_file: str = setting("", type=FILE, key="lua_file", text="The script. Text in place of a path is refused.")
    lua_settings: Mapping[str, str] = setting(
        {}, type=STRLIST, key="lua_settings", text="Keys and values given to script_init() as one table."
    )
    lua_compat: str = setting(
        "lenient",
        type=ENUM,
        key="lua_compat",
        choices=COMPAT,
        text="Which dialect of the API holds: 2.3, 2.4 (strict), or lenient: both, with one warning for each old form.",
    )
    lua_trust: str = setting(
        "full",
        type=ENUM,
        key="lua_trust",
        choices=TRUST,
        text="full: the whole standard library, for scripts of the administrator. restricted: no files, no processes, "
        "no C modules, and the limits hold. mail_lua: restricted.",
    )
    lua_max_memory_octets: int = setting(
        64 * 1024 * 1024,
        type=SIZE,
        key="lua_max_memory",
        low=0,
        text="Memory one restricted script may use; 0 = no limit. mail_lua: 16 M.",
    )
    lua_instruction_limit: int = setting(
        20_000_000,
        type=UINT,
        key="lua_instruction_limit",
        unit="instructions",
        text="Lua instructions one call of a restricted script may take; 0 = no limit. mail_lua: 5 million.",
    )
    lua_path: str = setting(
        "",
        type=STR,
        key="lua_path",
        text='Directories of pure Lua modules for require, separated by ":" (or a template with "?").',
    )
    lua_pool_size: int = setting(
        4,
        type=UINT,
        key="lua_pool_size",
        low=1,
        high=1000,
        unit="runtimes",
        text="Runtimes of one script in one process.",
    )
    lua_interleave: bool = setting(
        False,
        type=BOOL,
        key="lua_interleave",
        text="Run many calls at once in one runtime: another call may run while one waits, and sees its globals.",
    )
    lua_max_calls: int = setting(
        5000,
        type=UINT,
        key="lua_max_calls",
        low=1,
        unit="calls",
        text="Unfinished calls of one script; above it a call is refused.",
    )


@dataclass(frozen=True, kw_only=True)
class MailLuaSettings(LuaSettings):
    """``mail_lua { … }``: the script of every user of a mail process. Such a process serves many users at once and has
    no other guard than these limits, so they are narrower and hold whatever the trust."""

    LIMITED: ClassVar[bool] = True

    lua_trust: str = setting("restricted", type=ENUM, key="lua_trust", choices=TRUST, text="As above.")
    lua_max_memory_octets: int = setting(16 << 20, type=SIZE, key="lua_max_memory", low=0, text="As above.")
    lua_instruction_limit: int = setting(
        5_000_000, type=UINT, key="lua_instruction_limit", unit="instructions", text="As above."
    )


def calls_at_once(settings: LuaSettings) -> int:
    """How many calls of the script may be at work in one process."""
    return settings.lua_max_calls if settings.lua_interleave else settings.lua_pool_size
