"""``dovecot.dict``: constants, and dict and transaction objects of scripts, over ``roost.dict``.

Dovecot hands dicts to scripts from C only. Here ``LuaDict`` does the same from Python, and scripts may open what the
configuration names: ``dovecot.dict.open("NAME")``, which is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from roost.dict.api import Flags, Outcome
from roost.dict.front import Dict, Transaction
from roost.errors import ConfigError, RoostError
from roost.lua.api.base import Api, ScriptError, lua_text
from roost.lua.values import octets

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "dict.lua")
ALL_FLAGS = (1 << 6) - 1
CONSTANTS = {
    "ITERATE_FLAG_RECURSE": Flags.RECURSE.value,
    "ITERATE_FLAG_SORT_BY_KEY": Flags.SORT_BY_KEY.value,
    "ITERATE_FLAG_SORT_BY_VALUE": Flags.SORT_BY_VALUE.value,
    "ITERATE_FLAG_NO_VALUE": Flags.NO_VALUE.value,
    "ITERATE_FLAG_EXACT_KEY": Flags.EXACT_KEY.value,
    "ITERATE_FLAG_ASYNC": Flags.ASYNC.value,
}


class DictDoor(Protocol):
    """Where ``dovecot.dict.open`` finds dicts: ``roost.dict.opening.Dicts``."""

    def get(self, name: str) -> Dict:
        """Raises ConfigError."""
        ...


def family(door: DictDoor | None = None) -> Callable[[Script], Api]:
    """``dovecot.dict`` for scripts; without a door there is no ``open``."""
    return lambda script: _make(script, door)


def _make(script: Script, door: DictDoor | None) -> Api:
    def opened(name: str) -> int:
        if door is None:
            raise ScriptError(f"there is no dict {name}")
        try:
            return script.keep(door.get(name))
        except ConfigError as error:
            raise ScriptError(error.why) from None

    def begin(number: int, user: str, expire_secs: int) -> int:
        one: Dict = script.kept(number)
        try:
            return script.keep(one.transaction(user, expire_secs))
        except RoostError as error:
            raise ScriptError(str(error)) from None

    def check(number: int, path: str, user: str) -> None:
        _told(lambda: script.kept(number).key(path, user))

    def put(number: int, key: str, value: str) -> None:
        _told(lambda: _transaction(number).set(key, octets(value)))

    def unset(number: int, key: str) -> None:
        _told(lambda: _transaction(number).unset(key))

    def stamp(number: int, secs: int, nsecs: int) -> None:
        _told(lambda: _transaction(number).set_timestamp(secs, nsecs))

    def rollback(number: int) -> None:
        _told(lambda: _transaction(number).rollback())

    def _transaction(number: int) -> Transaction:
        found: Transaction = script.kept(number)
        return found

    async def lookup(number: int, key: str, user: str) -> Any:
        one: Dict = script.kept(number)
        try:
            found = await one.lookup(key, user)
            return None if found is None else list(found)
        except RoostError as error:
            raise ScriptError(str(error)) from None

    async def rows(number: int, path: str, flags: int, user: str) -> Any:
        one: Dict = script.kept(number)
        try:
            found = await one.all_rows(path, Flags(flags & ALL_FLAGS), user)
        except RoostError as error:
            return [], str(error)
        return [[key, list(values)] for key, values in found], None

    async def commit(number: int) -> Any:
        try:
            result = await _transaction(number).commit()
        except RoostError as error:
            raise ScriptError(str(error)) from None
        if result.outcome is not Outcome.OK:
            raise ScriptError(f"dict transaction commit failed: {result.reason}")

    return Api(
        name="dovecot.dict",
        members=CONSTANTS,
        source=_SOURCE,
        functions={
            "open": opened,
            "begin": begin,
            "check": check,
            "set": put,
            "unset": unset,
            "stamp": stamp,
            "rollback": rollback,
        },
        hosts={"dict.lookup": lookup, "dict.rows": rows, "dict.commit": commit},
    )


def push(script: Script, one: Dict) -> Any:
    """The Lua object for a dict, to be given to a call. The script must have this family."""
    return script.tool("push_dict", script.keep(one))


def _told(work: Callable[[], Any]) -> None:
    """Do it; what is wrong is raised in the script, with its details."""
    try:
        work()
    except RoostError as error:
        raise ScriptError(str(error)) from None
