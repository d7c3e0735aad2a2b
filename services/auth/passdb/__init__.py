"""Password databases: PASSDBS names the drivers. Each is one file; it passes ``roost/testing/passdb.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roost.auth.api import Passdb
from roost.settings.schema.auth import PassdbSettings
from services.auth.passdb import deny, imap, ldap, lua, oauth2, pam, passwd, passwd_file, sql, static
from services.auth.passdb.base import DriverContext

PASSDBS: Mapping[str, Callable[[PassdbSettings, DriverContext], Passdb]] = {
    "deny": deny.Deny,
    "imap": imap.Imap,
    "ldap": ldap.Ldap,
    "lua": lua.Lua,
    "oauth2": oauth2.Oauth2,
    "pam": pam.Pam,
    "passwd": passwd.Passwd,
    "passwd-file": passwd_file.PasswdFile,
    "sql": sql.make,
    "static": static.Static,
}

# Drivers whose passwords have this scheme when they name none, whatever the general default is.
DEFAULT_SCHEMES: Mapping[str, str] = {"static": "PLAIN"}
