"""``dovecot.event()``, event objects and their passthroughs, on ``roost.events.event``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.events.event import Event, Passthrough
from roost.lua.api.base import Api, lua_text

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "event.lua")


def make(script: Script) -> Api:
    """The events of one script. Every function takes the number of a kept Event or Passthrough."""

    def of(number: int) -> Event:
        kept = script.kept(number)
        event: Event = kept.own if isinstance(kept, Passthrough) else kept
        return event

    def new(parent: int, file: str, line: int) -> int:
        above = of(parent) if parent else script.event
        return script.keep(above.child(file=file, line=line))

    def leaked(number: int, file: str, line: int) -> None:
        of(number).take_name()
        script.event.log_error(f"Passthrough event leaked by Lua script at {file}:{line}")

    return Api(
        name="dovecot",
        source=_SOURCE,
        functions={
            "new": new,
            "leaked": leaked,
            "passthrough": lambda number: script.keep(Passthrough(of(number))),
            "append_log_prefix": lambda number, text: of(number).append_prefix(text),
            "replace_log_prefix": lambda number, text: of(number).replace_prefix(text),
            "set_name": lambda number, name: of(number).set_name(name),
            "set_always_log_source": lambda number: of(number).show_source(),
            "set_forced_debug": lambda number: of(number).force_debug(True),
            "unset_forced_debug": lambda number: of(number).force_debug(False),
            "add_str": lambda number, key, text: of(number).add_field(key, text),
            "add_int": lambda number, key, value: of(number).add_field(key, value),
            "add_timeval": lambda number, key, secs: of(number).add_field(key, float(secs)),
            "inc_int": lambda number, key, difference: of(number).inc_field(key, difference),
            "send": lambda number, level, text, file, line: of(number).send(level, text, file=file, line=line),
        },
    )
