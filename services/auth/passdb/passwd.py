"""passdb passwd: the system's users and passwords (NSS: ``/etc/passwd``, ``/etc/shadow`` and what is behind them).

The shadow file is for root alone: ``service auth-worker { user = root }``, or a group that may read it. Without that
every lookup is an internal failure, and says so.
"""

from __future__ import annotations

import time

from roost.auth.api import Entry, Outcome, Query
from roost.errors import Unavailable
from roost.settings.schema.auth import PassdbSettings
from services.auth import nss
from services.auth.passdb.base import DriverContext

DAY_SECS = 86_400
HASH = "{CRYPT}$"  # others are locked, or older than what is still accepted
IN_SHADOW = frozenset({"x", "*", "##"})  # what passwd(5) says where the password is elsewhere


class Passwd:
    """See the head of this file."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self._offload = context.offload
        self._typical = ""

    async def find(self, query: Query) -> Entry | None:
        """Raises Unavailable."""
        if not nss.usable(query.user):
            return None
        entry = await self._offload(_entry, query.user)
        if entry is not None and entry.password and entry.password.startswith(HASH):
            self._typical = entry.password
        return entry

    def decoy(self) -> str:
        """What was found last."""
        return self._typical


def _entry(name: str) -> Entry | None:
    account = nss.account(name)
    if account is None:
        return None
    fields = {"user": account.name} if account.name != name else {}
    password = account.password
    try:
        shadow = nss.shadow(account.name)
    except Unavailable:
        if password in IN_SHADOW:
            raise
        shadow = None
    if shadow is not None:
        password = shadow.password
        if 0 <= shadow.expires_day < time.time() // DAY_SECS:
            return Entry(None, fields, Outcome.EXPIRED, "the account has expired")
    elif password in IN_SHADOW:
        raise Unavailable("Temporary failure.", detail=f"passwd: no password of {name} can be read; is this root?")
    return Entry("{CRYPT}" + password if password else None, fields)
