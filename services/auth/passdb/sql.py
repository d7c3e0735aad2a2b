"""passdb sql: a query gives the column ``password`` and fields (``services/auth/sql``)."""

from __future__ import annotations

from roost.auth.api import Entry, Query
from roost.errors import ConfigError, Refused, Unavailable
from roost.settings.schema.auth import PassdbSettings
from services.auth.passdb.base import DriverContext
from services.auth.sql.engines import dialect_of, open_engine
from services.auth.sql.rows import FAILURE, only_row
from services.auth.sql.statement import prepare

KEY = "passdb_sql_query"
UPDATE_KEY = "passdb_sql_update_query"
NEED_NO_PASSWORD = ("nopassword", "noauthenticate", "password_noscheme")


def make(settings: PassdbSettings, context: DriverContext) -> Sql:
    """The driver; one that can store when there is a query for that. Raises ConfigError."""
    return StoringSql(settings, context) if settings.sql_update_query else Sql(settings, context)


class Sql:
    """See the head of this file."""

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self._query = prepare(settings.sql_query, dialect_of(settings), KEY)
        self._engine = open_engine(settings, context)
        self._given = any(name in settings.fields for name in ("password", *NEED_NO_PASSWORD))
        self._typical = ""
        self.variables: frozenset[str] | None = self._query.variables

    async def find(self, query: Query) -> Entry | None:
        values = self._query.values(query)
        if values is None:
            return None
        found = await self._engine.rows(self._query.text, values)
        fields = only_row(found, KEY)
        if fields is None:
            return None
        if "password" not in found.names and not self._given and not any(name in fields for name in NEED_NO_PASSWORD):
            raise Unavailable(FAILURE, detail="Password query must return a field named 'password'")
        password = fields.pop("password", None)
        if password:
            self._typical = password
        return Entry(password, fields)

    async def close(self) -> None:
        """At the end of the process."""
        await self._engine.close()

    def decoy(self) -> str:
        """What was found last."""
        return self._typical


class StoringSql(Sql):
    """For the rehash on login."""

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        super().__init__(settings, context)
        self._update = prepare(settings.sql_update_query, dialect_of(settings), UPDATE_KEY, ["password"])
        if "password" not in self._update.names:
            raise ConfigError("the query must use %{password}", key=UPDATE_KEY)

    async def store(self, query: Query, password_text: str) -> None:
        """Replace the stored password. Raises Unavailable, Refused."""
        values = self._update.values(query, {"password": password_text})
        if values is None or not await self._engine.change(self._update.text, values):
            raise Refused("The password was not changed.", detail=f"{UPDATE_KEY} changed no row")
