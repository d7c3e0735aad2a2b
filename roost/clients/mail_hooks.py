"""What else happens when a user's mail is opened and closed: the script of ``mail_lua``, and ``last_login``.

A room asks ``mail_hooks(config, …)`` once; None is the answer when nothing of it is configured, and then neither Lua
nor a dict is loaded. Otherwise it calls ``begin`` when a store was opened for a session, ``end`` before it is closed,
and ``close`` at its own end.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from roost.errors import ConfigError, Unavailable
from roost.events.log import Log
from roost.settings.connections import Connection
from roost.settings.schema.dict import DictSettings
from roost.settings.schema.last_login import LAST_LOGIN, LastLoginSettings
from roost.settings.schema.lua import MAIL_LUA, MailLuaSettings
from roost.settings.schema.mail import MAIL_ATTRIBUTE

if TYPE_CHECKING:
    from roost.clients.last_login import LastLogin, Spawn
    from roost.clients.lua_families import LuaFamilies
    from roost.dict.front import Dict
    from roost.dict.opening import Dicts
    from roost.lua.mail_scripts import MailScripts, UserScript
    from roost.settings import Config
    from roost.storage.api import ConnInfo, Identity, User

T = TypeVar("T")
MAX_HOMES = 10_000
CLOSE_SECS = 10.0


class MailHooks:
    """Of one process; made by ``mail_hooks``."""

    def __init__(self, protocol: str, log: Log, spawn: Spawn) -> None:
        self._protocol = protocol
        self._log = log
        self._spawn = spawn
        self._scripts: MailScripts | None = None
        self._last_login: LastLogin | None = None
        self._attributes: Dict | None = None
        self._dicts: Dicts | None = None
        self._families: LuaFamilies | None = None
        self._own: list[Dict] = []  # those inside a named filter
        self._homes: dict[str, str] = {}
        self._at_work = 0
        self._rest: asyncio.Event = asyncio.Event()
        self._rest.set()

    # ---- what the room calls

    async def begin(self, user: User, identity: Identity, conn: ConnInfo) -> UserScript | None:
        """A store was opened for a session; the answer is for ``end``. Raises Unavailable: the user is kept out."""
        variables = variables_of(identity, conn, self._protocol)
        if len(self._homes) >= MAX_HOMES:
            self._homes.clear()
        self._homes[identity.username] = identity.home
        script = given = None
        if self._scripts is not None:
            from roost.lua.api.mail import MailUser

            metadata = None
            if self._attributes is not None:
                from roost.lua.api.dict_metadata import DictMetadata

                metadata = DictMetadata(self._attributes, user)
            members = members_of(identity, conn, self._protocol)
            given = MailUser(user, members, variables, metadata, identity.fields)
            script = await _in_a_task(self._scripts.begin(given, f"user {identity.username}: "))
        if self._last_login is not None:
            self._last_login.note(identity.username, variables, given.injected if given is not None else None)
        return script

    async def end(self, script: UserScript | None) -> None:
        """The session is over; its store is still open. Never raises."""
        if script is None:
            return
        self._at_work += 1
        self._rest.clear()
        try:
            await _in_a_task(script.end())
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._rest.set()

    async def close(self) -> None:
        """Wait, not for ever, for scripts that end and times that are written; then let go of everything."""
        try:
            async with asyncio.timeout(CLOSE_SECS):
                await self._rest.wait()
                if self._last_login is not None:
                    await self._last_login.close()
        except TimeoutError:
            self._log.warning("mail_lua or last_login does not come to an end")
        if self._scripts is not None:
            await self._scripts.close()
        if self._families is not None:
            await self._families.close()
        for one in (*self._own, self._dicts):
            if one is not None:
                await one.close()

    # ---- making

    def use(self, config: Config, lua: MailLuaSettings | None, last_login: LastLoginSettings | None) -> None:
        """Load what is configured. Raises ConfigError."""
        from roost.dict.api import Surroundings
        from roost.dict.opening import Dicts
        from roost.settings.schema.master import MasterSettings

        surroundings = Surroundings(home=self._home, base_dir=config.section(MasterSettings).base_dir)
        self._dicts = Dicts(config, surroundings)
        if last_login is not None:
            from roost.clients.last_login import LastLogin

            store = self._inline(config, LAST_LOGIN, surroundings) or self._dicts.get(last_login.last_login_dict)
            self._last_login = LastLogin(store, last_login, self._log, self._spawn)
        if lua is not None:
            from roost.clients.lua_families import LuaFamilies
            from roost.events.event import Event
            from roost.lua.mail_scripts import MailScripts

            self._attributes = self._inline(config, MAIL_ATTRIBUTE, surroundings)
            self._families = LuaFamilies(config, self._log, self._dicts)
            event = Event(log=self._log, categories=("mail",))
            self._scripts = MailScripts(lua, self._families.families, event)

    def _inline(self, config: Config, name: str, surroundings: object) -> Dict | None:
        from roost.dict.api import Surroundings
        from roost.dict.opening import open_dict

        assert isinstance(surroundings, Surroundings)
        found = config.elements(DictSettings, "dict", ((name, ""),))
        if not found:
            return None
        if len(found) > 1:
            raise ConfigError(f"{name} {{ .. }} has more than one dict", key=name)
        made = open_dict(found[0], surroundings)
        self._own.append(made)
        return made

    async def _home(self, user: str) -> str:
        home = self._homes.get(user)
        if not home:
            raise Unavailable("The home directory is not known", detail=user)
        return home


def mail_hooks(config: Config, protocol: str, log: Log, spawn: Spawn) -> MailHooks | None:
    """What is configured for a protocol; None: nothing. Raises ConfigError."""
    lua = config.element(MailLuaSettings, ((MAIL_LUA, ""),), Connection(protocol))
    last_login = config.section(LastLoginSettings, protocol=protocol)
    told = protocol in last_login.last_login_protocols and bool(
        last_login.last_login_dict or config.elements(DictSettings, "dict", ((LAST_LOGIN, ""),))
    )
    if not lua.lua_file and not told:
        return None
    made = MailHooks(protocol, log, spawn)
    made.use(config, lua if lua.lua_file else None, last_login if told else None)
    return made


async def _in_a_task(coro: Coroutine[Any, Any, T]) -> T:
    """Sessions may run outside of any task (``roost/net/inline.py``); what scripts wait for needs one."""
    return await asyncio.get_running_loop().create_task(coro)


def variables_of(identity: Identity, conn: ConnInfo, protocol: str) -> Mapping[str, str]:
    """What templates of a user's session may name."""
    username, _, domain = identity.username.rpartition("@") if "@" in identity.username else (identity.username, "", "")
    known = {
        "user": identity.username,
        "username": username,
        "domain": domain,
        "home": identity.home,
        "protocol": protocol,
        "service": protocol,
        "session": conn.session_id,
        "remote_ip": conn.remote_ip,
        "local_ip": conn.local_ip,
        "remote_port": str(conn.remote_port or ""),
        "local_port": str(conn.local_port or ""),
    }
    for name, value in identity.fields.items():
        known["userdb:" + name] = value
    return known


def members_of(identity: Identity, conn: ConnInfo, protocol: str) -> Mapping[str, object]:
    """The members of ``mail_user`` objects beside the name."""
    return {
        "home": identity.home,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "service": protocol,
        "session_id": conn.session_id,
        "session_create_time": int(time.time()),
        "nonexistent": False,
        "anonymous": "anonymous" in identity.fields,
        "autocreated": False,
        "fuzzy_search": False,
        "dsyncing": False,
        "admin": False,
        "session_restored": False,
    }
