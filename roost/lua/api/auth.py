"""``dovecot.auth``: the constants and the request object that the hooks of passdb and userdb scripts get.

The driver makes an ``AuthRequest`` for each lookup and calls ``call_auth``; what the script returned is judged by
``auth_results.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roost.errors import ConfigError
from roost.events.event import Event
from roost.lua.api.base import Api, ScriptError, lua_text
from roost.lua.values import from_lua, octets
from roost.settings.variables import expand

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "auth.lua")

PASSDB_RESULTS = {
    "OK": 1,
    "PASSWORD_MISMATCH": 0,
    "INTERNAL_FAILURE": -1,
    "SCHEME_NOT_AVAILABLE": -2,
    "USER_UNKNOWN": -3,
    "USER_DISABLED": -4,
    "PASS_EXPIRED": -5,
    "NEXT": -6,
}
USERDB_RESULTS = {"OK": 1, "USER_UNKNOWN": -2, "INTERNAL_FAILURE": -1}
CONSTANTS = {
    **{f"PASSDB_RESULT_{name}": value for name, value in PASSDB_RESULTS.items()},
    **{f"USERDB_RESULT_{name}": value for name, value in USERDB_RESULTS.items()},
}

FLAGS = (
    "skip_password_check",
    "passdbs_seen_user_unknown",
    "passdbs_seen_internal_failure",
    "userdbs_seen_internal_failure",
)
"""The names that ``AuthRequest.flags`` may have."""

_NO_FLAGS = (False,) * len(FLAGS)

Verify = Callable[[bytes, bytes], Awaitable[tuple[int, str | None]]]
"""(stored password, the one given) → 1 match, 0 mismatch or unknown scheme, -1 broken or refused; and the reason."""


@dataclass(slots=True)
class AuthRequest:
    """One lookup as a script sees it.

    ``variables``: members by their 2.4 names (spec: ``user``, ``protocol``, ``remote_ip`` …); None or absent is nil.
    ``passdb`` and ``userdb``: the fields said so far. ``verify`` answers ``req:password_verify``; its cost must not
    be paid on the loop. ``event`` is the database's event; its lines get the prefix ``db-lua: ``.
    """

    variables: Mapping[str, str | None] = field(repr=False)
    event: Event
    verify: Verify | None = None
    passdb: Mapping[str, str] = field(default_factory=dict, repr=False)
    userdb: Mapping[str, str] = field(default_factory=dict, repr=False)
    flags: Mapping[str, bool] = field(default_factory=dict)


def members(found: Mapping[str, str | None]) -> dict[str, str | None]:
    """Complete a request's variables: those that follow from others, and the defaults of what is unknown."""
    made = {key: value for key, value in found.items() if value is not None}
    user = made.get("user", "")
    made.setdefault("owner_user", user)
    if "@" in user:
        made["domain_first"] = user.split("@", 1)[1]
        made["domain_last"] = user.rsplit("@", 1)[1]
    for name in ("local_port", "remote_port", "real_local_port", "real_remote_port"):
        made.setdefault(name, "0")
    for name in ("session_pid", "secured", "cert"):
        made.setdefault(name, "")
    return dict(made)


def push_request(script: Script, request: AuthRequest) -> Any:
    """The object in Lua. ``auth_done`` (a tool) ends its life."""
    return script.tool_function("auth_request")(*_arguments(script, script.keep(request), request))


def _arguments(script: Script, number: int, request: AuthRequest) -> tuple[Any, ...]:
    flags = [request.flags.get(flag, False) for flag in FLAGS] if request.flags else _NO_FLAGS
    return (
        number,
        script.table(request.variables),
        script.push(dict(request.passdb)) if request.passdb else None,
        script.push(dict(request.userdb)) if request.userdb else None,
        *flags,
    )


async def call_auth(script: Script, name: str, request: AuthRequest, *more: str) -> tuple[Any, Any]:
    """Call a hook. → its two results as plain values (``values.from_lua``). The object dies with the call."""
    number = script.keep(request)
    done = False
    try:
        found = await script.call_made("auth_made", name, _arguments(script, number, request), *more)
        done = True
    finally:
        if not script.closed:
            script.release(number)
            if not done:
                script.tool_function("auth_gone")(number)
    return (
        from_lua(found[0]) if found else None,
        from_lua(found[1]) if len(found) > 1 else None,
    )


def make(script: Script) -> Api:
    """The family for one script of an auth process."""

    def of(number: int) -> AuthRequest:
        request: AuthRequest = script.kept(number)
        return request

    def log(number: int, level: str, text: str) -> None:
        of(number).event.send(level, f"db-lua: {text}")

    def var_expand(number: int, template: str) -> str:
        request = of(number)
        known: dict[str, str | None] = dict(request.variables)
        known.update({f"passdb:{key}": value for key, value in request.passdb.items()})
        known.update({f"userdb:{key}": value for key, value in request.userdb.items()})
        try:
            return expand(template, known)
        except ConfigError as error:
            raise ScriptError(f"var_expand({template}) failed: {error.why}") from None

    async def password_verify(number: int, crypted: str, plain: str) -> tuple[int, str | None]:
        verify = of(number).verify
        if verify is None:
            return -1, "Passwords cannot be verified here"
        return await verify(octets(crypted), octets(plain))

    return Api(
        name="dovecot.auth",
        members=CONSTANTS,
        source=_SOURCE,
        functions={
            "log": log,
            "var_expand": var_expand,
            "event": lambda number: script.keep(of(number).event.child()),
        },
        hosts={"auth.password_verify": password_verify},
    )
