"""userdb static: the same fields for everybody, from the block's ``fields`` (which the chain expands).

Whether a user exists is asked of the passdbs, unless ``userdb_static_allow_all_users`` is set or the user has just
logged in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from services.auth.passdb.base import DriverContext

NO_FIELDS: Mapping[str, str] = {}


class Static:
    """See the head of this file."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = None  # another passdb's answer is behind it

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        self._all = settings.static_allow_all_users
        self._exists = context.exists

    async def find(self, query: Query) -> Mapping[str, str] | None:
        if self._all or query.authenticated or await self._exists(query):
            return NO_FIELDS
        return None

    def iterate(self) -> AsyncIterator[str] | None:
        return None
