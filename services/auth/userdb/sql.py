"""userdb sql: a query gives the user's fields, another one all users (``services/auth/sql``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from services.auth.passdb.base import DriverContext
from services.auth.sql.engines import dialect_of, open_engine
from services.auth.sql.rows import fields_of, name_of, only_row
from services.auth.sql.statement import prepare

KEY = "userdb_sql_query"
ITERATE_KEY = "userdb_sql_iterate_query"


class Sql:
    """See the head of this file."""

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        dialect = dialect_of(settings)
        self._query = prepare(settings.sql_query, dialect, KEY)
        listing = settings.sql_iterate_query
        self._listing = prepare(listing, dialect, ITERATE_KEY) if listing.strip() else None
        self._engine = open_engine(settings, context)
        self.variables: frozenset[str] | None = self._query.variables

    async def find(self, query: Query) -> Mapping[str, str] | None:
        values = self._query.values(query)
        if values is None:
            return None
        return only_row(await self._engine.rows(self._query.text, values), KEY)

    def iterate(self) -> AsyncIterator[str] | None:
        """Every user; None without a query for that."""
        return None if self._listing is None else self._names()

    async def close(self) -> None:
        """At the end of the process."""
        await self._engine.close()

    async def _names(self) -> AsyncIterator[str]:
        assert self._listing is not None
        values = self._listing.values(Query(""))
        async for names, rows in self._engine.stream(self._listing.text, values or ()):
            for row in rows:
                yield name_of(fields_of(names, row))
