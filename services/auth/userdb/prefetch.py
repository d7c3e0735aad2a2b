"""userdb prefetch: the ``userdb_…`` fields that the passdbs have given at the login.

Without any (a delivery, where no passdb was asked) it knows nobody, and the next userdb is asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from services.auth.fields import USERDB_PREFIX
from services.auth.passdb.base import DriverContext


class Prefetch:
    """See the head of this file."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = None  # it is an answer already

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        pass

    async def find(self, query: Query) -> Mapping[str, str] | None:
        start = len(USERDB_PREFIX)
        found = {name[start:]: value for name, value in query.passdb_fields.items() if name.startswith(USERDB_PREFIX)}
        return found or None

    def iterate(self) -> AsyncIterator[str] | None:
        return None
