"""One block's Lua script in this process: what ``passdb lua`` and ``userdb lua`` have in common.

A block has a script of its own, loaded once a process (as in Dovecot: two blocks that name the same file share
nothing), in up to ``lua_pool_size`` runtimes that serve one call each, or in one that serves all (``lua_interleave``).
All of them are made of the text that was read at the start: a file that changes counts from the next reload on.

The families a script sees: base, events, modules (every script), http, dict, dns, auth. HTTP connections, dicts and the
resolver are shared by all scripts of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from roost.auth.api import NO_FIELDS, VARIABLES, DriverContext, Query
from roost.clients.http.lua import LuaHttp
from roost.clients.lua_families import lua_http, lua_resolver
from roost.clients.resolver import Resolver
from roost.dict.opening import Dicts
from roost.errors import ConfigError, Unavailable
from roost.events.event import Event
from roost.lua.api import auth, dns, http
from roost.lua.api import dict as dictionaries
from roost.lua.api.auth import AuthRequest, Verify
from roost.lua.api.auth_results import Verdict, cache_key, judge, names_of
from roost.lua.pool import Pool
from roost.lua.script import ApiSource, LuaFailure, Script, check_file, read_file
from roost.lua.values import ScriptError
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.fields import USERDB_PREFIX
from services.auth.lua_request import request_variables
from services.auth.schemes import SCHEMES, WEAK_SCHEMES, BadHash, Scheme, SchemeUnavailable, parse
from services.auth.templates import FieldTemplates

Kind = Literal["passdb", "userdb"]
DEFAULT_CACHE_KEY = "%{user}"  # of Dovecot 2.3, for scripts of it that say nothing
CONFIG, ALLOWED_SCHEMES, LUA = "config", "schemes", "lua"
"""Keys of ``DriverContext.shared``: the room's configuration and schemes, and what all scripts share."""
NAME_CHARS = 64


@dataclass(frozen=True)
class Surroundings:
    """What all scripts of a process share."""

    families: tuple[ApiSource, ...]
    verify: Verify

    @classmethod
    def of(cls, context: DriverContext) -> Surroundings:
        """Those of a context; made when first asked for."""
        found = context.shared.get(LUA)
        if found is None:
            config = context.shared.get(CONFIG)
            whole = cast(Any, config) if hasattr(config, "elements") else None  # tests have less of it
            door = Dicts(whole) if whole else None
            schemes = cast("Mapping[str, Scheme]", context.shared.get(ALLOWED_SCHEMES, SCHEMES))
            families = (
                http.family(lua_http(whole, context.log) if whole else LuaHttp(context.log)),
                dictionaries.family(door),
                dns.family(lua_resolver(whole) if whole else Resolver()),
                auth.make,
            )
            found = context.shared[LUA] = cls(families, verifier(context, schemes))
        return cast(Surroundings, found)


def verifier(context: DriverContext, schemes: Mapping[str, Scheme]) -> Verify:
    """``req:password_verify``: a slow hash is computed in a thread."""

    async def verify(stored_text: bytes, password: bytes) -> tuple[int, str | None]:
        try:
            stored = parse(stored_text.decode("utf-8", "surrogateescape"), schemes, "PLAIN")
        except BadHash as error:
            if error.detail.startswith("Unknown scheme "):
                name = error.detail.removeprefix("Unknown scheme ")
                weak = stored_text[1:].upper().startswith(name.encode()) and name in WEAK_SCHEMES
                return (-1, f"Weak password scheme '{name}' used and refused") if weak else (0, error.detail)
            return -1, f"Password data is not valid for scheme {error.detail}"
        try:
            if stored.scheme.slow:
                matches = await context.offload(stored.verify, password)
            else:
                matches = stored.verify(password)
        except BadHash as error:
            return -1, f"Password data is not valid for scheme {stored.scheme.name}: {error.detail}"
        except (SchemeUnavailable, Unavailable) as error:
            return -1, error.detail or error.client_text
        return (1, None) if matches else (0, "Password mismatch")

    return verify


class LuaBlock:
    """The script of one block. ``start`` before anything else; ``ask`` does so when nobody has."""

    def __init__(self, settings: PassdbSettings | UserdbSettings, context: DriverContext, kind: Kind) -> None:
        """Raises ConfigError when the settings make no sense."""
        self.kind: Kind = kind
        self.key = f"{kind} {settings.name}"
        try:
            self.path = check_file(settings)
        except ConfigError as error:
            raise ConfigError(error.why, key=self.key) from None
        self.strict = settings.lua_compat == "2.4"
        self.name = settings.name
        self.fields = FieldTemplates(settings.fields)
        self.variables: frozenset[str] | None = None
        self.functions: frozenset[str] = frozenset()
        self._settings = settings
        self._shared = Surroundings.of(context)
        self._event = Event(log=context.log, categories=("auth",), fields={kind: settings.name})
        self._number = _number_of(settings, context, kind)
        self._text = b""
        self._lock = asyncio.Lock()
        self._started = False
        self._old: set[str] = set()
        self._pool = Pool(
            self._make,
            settings.lua_pool_size,
            interleave=settings.lua_interleave,
            queue_limit=settings.lua_max_calls,
        )

    # --- life

    async def start(self) -> None:
        """Load the script, run its top-level chunk and ``script_init``. Raises ConfigError with Dovecot's text."""
        if not self._started:
            async with self._lock:
                await self._load()

    async def _load(self) -> None:
        if self._started:
            return
        try:
            self._text = read_file(self.path)
            script = await self._pool.start()
            self.functions = frozenset(name for name in FUNCTIONS[self.kind] if script.has(name))
            await self._ask_cache_key(script)
        except (LuaFailure, ConfigError) as error:
            why = error.why if isinstance(error, ConfigError) else str(error)
            raise ConfigError(f"{self.kind}-lua: initialization failed: {why}", key=self.key) from None
        self._started = True

    async def _make(self) -> Script:
        """One more runtime. Raises LuaFailure."""
        script = Script.from_file(self.path, self._shared.families, self._settings, event=self._event, text=self._text)
        try:
            await script.start()
        except BaseException:
            await script.close()
            raise
        return script

    async def _ask_cache_key(self, script: Script) -> None:
        """Raises ConfigError, LuaFailure."""
        function = f"auth_{self.kind}_get_cache_key"
        if script.has(function):
            (template,) = await script.call(function, results=1)
        elif self._settings.lua_compat == "2.3":
            template = DEFAULT_CACHE_KEY
        else:
            return
        names = frozenset(cache_key(function, template, strict=self.strict)) | self.fields.variables
        if strange := names - VARIABLES.keys():
            self.warn(f"nothing is cached: {function}() names %{{{min(strange)}}}, which the cache cannot tell apart")
        else:
            self.variables = names

    async def close(self) -> None:
        await self._pool.close()

    # --- questions

    async def ask(self, function: str, query: Query, password: Secret | None = None, *, tell: bool = False) -> Verdict:
        """Call a hook and judge what it returned; ``tell``: the password is its second argument. Fields of the block
        come before those that the script returns. Raises Unavailable, ConfigError."""
        if not self._started:
            await self.start()
        plain = None if password is None else password.reveal().decode("utf-8", "surrogateescape")
        fields = query.passdb_fields if self.kind == "passdb" else query.userdb_fields
        given = self.fields.expanded(query, NO_FIELDS, self.kind) if self.fields else NO_FIELDS
        so_far = {**fields, **given} if given else fields
        event = Event(self._event)
        event.append_prefix(f"{self.name}({query.user[:NAME_CHARS]}): ")
        request = AuthRequest(
            request_variables(query, plain, self._number),
            event,
            self._shared.verify,
            so_far if self.kind == "passdb" else query.passdb_fields,
            _userdb_fields(query, given) if self.kind == "passdb" else so_far,
            _flags(query, self.kind),
        )
        try:
            script = await self._pool.take()
            try:
                more = (plain,) if tell and plain is not None else ()
                code, value = await auth.call_auth(script, function, request, *more)
                verdict = judge(function, self.kind, code, value, strict=self.strict)
                if verdict.old:
                    script.deprecated(f"{function} {verdict.old}", f"{function}() {verdict.old}")
            finally:
                await self._pool.release(script)
        except (LuaFailure, ScriptError) as error:
            raise Unavailable("Temporary failure.", detail=f"{self.kind}-lua: {error}") from None
        for warning in verdict.warnings:
            event.log_warning(warning)
        if verdict.code == -1:
            raise Unavailable("Temporary failure.", detail=verdict.message or f"{self.kind} failed")
        if given and verdict.code in (1, -6):
            return Verdict(verdict.code, verdict.password, {**given, **verdict.fields}, verdict.message)
        return verdict

    async def names(self) -> list[str]:
        """What ``auth_userdb_iterate`` returned. Raises Unavailable."""
        try:
            async with self._pool.script() as script:
                (found,) = await script.call_raw("auth_userdb_iterate", results=1)
                return names_of(found)
        except ValueError as error:
            raise Unavailable("Listing users failed.", detail=str(error)) from None
        except LuaFailure as error:
            raise Unavailable("Listing users failed.", detail=f"userdb-lua: {error}") from None

    def once(self, what: str, tell: Callable[[], None]) -> None:
        """Do it the first time only."""
        if what not in self._old:
            self._old.add(what)
            tell()

    def warn(self, text: str) -> None:
        self._event.log_warning(f"{self.key}: {text}")


FUNCTIONS: Mapping[Kind, tuple[str, ...]] = {
    "passdb": ("auth_password_verify", "auth_passdb_lookup"),
    "userdb": ("auth_userdb_lookup", "auth_userdb_iterate"),
}


def _userdb_fields(query: Query, given: Mapping[str, str]) -> Mapping[str, str]:
    """What passdbs have said for the userdbs, without its prefix."""
    if not query.passdb_fields and not given:
        return given
    start = len(USERDB_PREFIX)
    return {
        name[start:]: value
        for fields in (query.passdb_fields, given)
        for name, value in fields.items()
        if name.startswith(USERDB_PREFIX)
    }


def _flags(query: Query, kind: Kind) -> Mapping[str, bool]:
    if not (query.seen_unknown or query.seen_internal or query.authenticated):
        return {}
    return {
        "skip_password_check": query.authenticated,
        "passdbs_seen_user_unknown": query.seen_unknown,
        "passdbs_seen_internal_failure": query.seen_internal and kind == "passdb",
        "userdbs_seen_internal_failure": query.seen_internal and kind == "userdb",
    }


def _number_of(settings: PassdbSettings | UserdbSettings, context: DriverContext, kind: Kind) -> str:
    """The block's place among its kind, from 1."""
    config: Any = context.shared.get(CONFIG)
    blocks = (config.passdbs_of("") if kind == "passdb" else config.userdbs_of("")) if config is not None else ()
    return next((str(number) for number, one in enumerate(blocks, 1) if one.name == settings.name), "1")
