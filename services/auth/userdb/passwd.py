"""userdb passwd: uid, gid and home of the system's users (NSS)."""

from __future__ import annotations

import pwd
from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from services.auth import nss
from services.auth.passdb.base import DriverContext


class Passwd:
    """See the head of this file."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        self._offload = context.offload
        self._first_uid = settings.first_valid_uid
        self._last_uid = settings.last_valid_uid

    async def find(self, query: Query) -> Mapping[str, str] | None:
        """Raises Unavailable."""
        if not nss.usable(query.user):
            return None
        found = await self._offload(nss.account, query.user)
        if found is None:
            return None
        fields = {"system_groups_user": found.name, "uid": str(found.unix_uid), "gid": str(found.unix_gid)}
        if found.home:
            fields["home"] = found.home
        if found.name != query.user:
            fields["user"] = found.name
        return fields

    def iterate(self) -> AsyncIterator[str] | None:
        """The names of those whose uid is in the valid range."""
        return self._names()

    async def _names(self) -> AsyncIterator[str]:
        for entry in await self._offload(pwd.getpwall):
            if entry.pw_uid >= self._first_uid and (not self._last_uid or entry.pw_uid <= self._last_uid):
                yield entry.pw_name
