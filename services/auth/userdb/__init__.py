"""User databases: USERDBS names the drivers, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roost.auth.api import Userdb
from roost.settings.schema.auth import UserdbSettings
from services.auth.passdb.base import DriverContext
from services.auth.userdb import ldap, lua, passwd, passwd_file, prefetch, sql, static

USERDBS: Mapping[str, Callable[[UserdbSettings, DriverContext], Userdb]] = {
    "ldap": ldap.Ldap,
    "lua": lua.Lua,
    "passwd": passwd.Passwd,
    "passwd-file": passwd_file.PasswdFile,
    "prefetch": prefetch.Prefetch,
    "sql": sql.Sql,
    "static": static.Static,
}
