"""passdb lua: a script of the administrator verifies passwords, or says what is stored (docs/lua.md).

``auth_password_verify`` is asked whenever the client shows its password and the script has the function; otherwise, and
for everything else, ``auth_passdb_lookup``, and the room compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from roost.auth.api import Entry, Outcome, Query
from roost.settings.schema.auth import PassdbSettings
from roost.settings.schema.lua import calls_at_once
from roost.util.secret import Secret
from services.auth.passdb.base import DriverContext

if TYPE_CHECKING:
    from roost.lua.api.auth_results import Verdict

# PASSDB_RESULT_… (roost/lua/api/auth.py); INTERNAL_FAILURE, -1, is raised
OUTCOMES: Mapping[int, Outcome] = {
    1: Outcome.OK,
    0: Outcome.MISMATCH,
    -2: Outcome.SCHEME_NOT_AVAILABLE,
    -3: Outcome.UNKNOWN,
    -4: Outcome.DISABLED,
    -5: Outcome.EXPIRED,
    -6: Outcome.NEXT,
}
VERIFY, LOOKUP = "auth_password_verify", "auth_passdb_lookup"
CRYPT, PLAIN = "CRYPT", "{PLAIN}"
CRYPT_STARTS = ("$", "_")  # of a hash that crypt(3) makes; DES has 13 characters and no mark


class Lua:
    """See the head of this file."""

    verifies = True
    credentials = True
    concurrent = staticmethod(calls_at_once)

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        from services.auth.lua_script import LuaBlock  # Lua only where there is such a block

        self._block = LuaBlock(settings, context, "passdb")
        self._crypt = settings.default_password_scheme.upper() == CRYPT
        self._old_default = settings.lua_compat == "2.3"
        self._typical = ""

    @property
    def variables(self) -> frozenset[str] | None:
        return self._block.variables

    async def start(self) -> None:
        """Raises ConfigError."""
        await self._block.start()

    async def close(self) -> None:
        await self._block.close()

    async def find(self, query: Query) -> Entry | None:
        return _unless_unknown(self._entry(LOOKUP, await self._block.ask(LOOKUP, query)))

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        await self._block.start()
        if VERIFY in self._block.functions:
            return _unless_unknown(self._entry(VERIFY, await self._block.ask(VERIFY, query, password, tell=True)))
        entry = self._entry(LOOKUP, await self._block.ask(LOOKUP, query, password))
        return Entry(entry.password, entry.fields, entry.outcome, entry.reason, unverified=True)

    def decoy(self) -> str:
        """What was told last."""
        return self._typical

    def _entry(self, function: str, verdict: Verdict) -> Entry:
        stored = verdict.password
        if stored and not stored.startswith("{") and self._crypt:
            stored = self._with_scheme(function, stored)
        if stored:
            self._typical = stored
        reason = "" if verdict.message == "passdb failed" else verdict.message
        return Entry(stored, verdict.fields, OUTCOMES[verdict.code], reason)

    def _with_scheme(self, function: str, stored: str) -> str:
        """A password without ``{SCHEME}`` where no default is configured: 2.3 took it for PLAIN, 2.4.3 for CRYPT."""
        if stored.startswith(CRYPT_STARTS):
            return stored
        if self._old_default:
            return PLAIN + stored
        if len(stored) != 13:
            self._block.once(
                "scheme",
                lambda: self._block.warn(
                    f"{function}() returns a password without {{SCHEME}} that is no hash of {CRYPT}; "
                    "write {PLAIN} before it, or set passdb_default_password_scheme"
                ),
            )
        return stored


def _unless_unknown(entry: Entry) -> Entry | None:
    return None if entry.outcome is Outcome.UNKNOWN and not (entry.reason or entry.fields) else entry
