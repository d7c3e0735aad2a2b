"""``mail_lua``: the script of a mail process, loaded for each user's session as in Dovecot.

``begin(user)`` makes a runtime, runs the script and ``mail_user_created(user)``; ``end`` calls ``mail_user_deinit_pre``
and ``mail_user_deinit``. A script without ``mail_user_created`` is unloaded at once. Each hook may return a code and a
message: a code below 0 is a failure, and one of ``mail_user_created`` keeps the user out. The text is read once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from roost.errors import ConfigError, Unavailable
from roost.events.event import Event
from roost.lua.api import mail
from roost.lua.api.mail import MailUser
from roost.lua.filters import LuaFiles, call
from roost.lua.script import ApiSource, LuaFailure, Script, check_file, read_file
from roost.settings.filters.value import FilterError
from roost.settings.schema.lua import LuaSettings
from roost.settings.variables import expand

CREATED, DEINIT_PRE, DEINIT = "mail_user_created", "mail_user_deinit_pre", "mail_user_deinit"
NOT_LOADED = "User has no Lua script loaded"
REFUSED = "Your mail cannot be opened now, try again later"


class UserScript:
    """The loaded script of one session."""

    def __init__(self, script: Script, user: MailUser) -> None:
        self.script = script
        self.user = user

    def call(self, arguments: list[bytes]) -> bytes:
        """``lua_call``. Raises FilterError."""
        name, *rest = arguments
        if self.script.closed:
            raise FilterError(NOT_LOADED)
        return call(self.script, name.decode("utf-8", "surrogateescape"), (self.user, *rest))

    async def end(self) -> None:
        """The session is over; the store is still open. Failures are logged."""
        try:
            for hook in (DEINIT_PRE, DEINIT):
                if self.script.has(hook):
                    problem = await _run(self.script, hook, self.user)
                    if problem:
                        self.script.event.log_error(f"{hook}() failed: {problem}")
        finally:
            await self.script.close()


class MailScripts:
    """Those of one process. ``families``: what they see beside ``dovecot.storage`` and the base."""

    def __init__(self, settings: LuaSettings, families: Sequence[ApiSource], event: Event) -> None:
        """Reads the script and compiles it once. Raises ConfigError."""
        self.settings = settings
        self._files = LuaFiles(settings, families, event)
        self._families = (*families, mail.make)
        self._event = event
        try:
            self._path = check_file(settings)
            self._text = read_file(self._path)
            self._made()  # dropped again: nothing of it has run
        except LuaFailure as error:
            raise ConfigError(f"mail_lua: {error}", key="lua_file") from None

    def _made(self, prefix: str = "") -> Script:
        event = Event(self._event)
        if prefix:
            event.append_prefix(prefix)
        return Script.from_file(self._path, self._families, self.settings, event=event, text=self._text)

    async def begin(self, user: MailUser, prefix: str = "") -> UserScript | None:
        """Load it for a user; None when it has no interest in users. ``prefix``: of log lines.

        Raises Unavailable when the script fails or keeps the user out.
        """
        user.injected = {"lua_file": self._files.run, "lua_call": _no_script}
        script = self._made(prefix)
        done = False
        try:
            await script.start(self._given(user))
            if not script.has(CREATED):
                return None
            made = UserScript(script, user)
            user.injected = {**user.injected, "lua_call": made.call}
            problem = await _run(script, CREATED, user)
            if problem:
                raise Unavailable(REFUSED, detail=f"{CREATED}() failed: {problem}")
            done = True
            return made
        except (LuaFailure, ConfigError) as error:
            raise Unavailable(REFUSED, detail=f"mail_lua: {error}") from None
        finally:
            if not done:
                await script.close()

    def _given(self, user: MailUser) -> dict[str, str]:
        """``lua_settings`` of this user. Raises ConfigError."""
        given = self.settings.lua_settings.items()
        return {key: expand(value, user.variables, injected=user.injected) for key, value in given}

    async def close(self) -> None:
        """Let go of the scripts of ``lua_file``."""
        await self._files.close()


def _no_script(arguments: list[bytes]) -> bytes:
    raise FilterError(NOT_LOADED)


async def _run(script: Script, hook: str, user: MailUser) -> str:
    """Call a hook; → why it failed, or ""."""
    try:
        code, message = await script.call(hook, user, results=2)
    except LuaFailure as error:
        return str(error)
    if _number(code) >= 0:
        return ""
    return str(message) if isinstance(message, str | int | float) else f"it returned {code}"


def _number(code: Any) -> float:
    """As lua_tonumber: what is no number is 0."""
    try:
        value = float(code) if isinstance(code, int | float | str) and not isinstance(code, bool) else 0.0
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(value) else value
