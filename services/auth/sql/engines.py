"""What an engine does, and how one is opened. Blocks with the same settings share one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, cast

from roost.auth.api import DriverContext
from roost.errors import ConfigError
from roost.settings.schema.sql import SqlSettings
from services.auth.sql.rows import Rows
from services.auth.sql.statement import PGSQL, SQLITE, Dialect

DIALECTS = {"sqlite": SQLITE, "pgsql": PGSQL}


class Engine(Protocol):
    """A database with bounded connections. Everything raises Unavailable."""

    async def rows(self, text: str, values: Sequence[str]) -> Rows:
        """The answer to a question; of many rows it may give only the first two."""
        ...

    async def change(self, text: str, values: Sequence[str]) -> int:
        """Change something; the number of rows that were. What is written never gets into an error."""
        ...

    def stream(self, text: str, values: Sequence[str]) -> AsyncIterator[Rows]:
        """A long answer, some rows at a time."""
        ...

    async def close(self) -> None:
        """End the connections that nobody uses. What is asked later makes new ones."""
        ...


def dialect_of(settings: SqlSettings) -> Dialect:
    """Raises ConfigError: none was chosen."""
    found = DIALECTS.get(settings.sql_driver)
    if found is None:
        raise ConfigError("choose a kind of database: sqlite or pgsql", key="sql_driver")
    return found


def open_engine(settings: SqlSettings, context: DriverContext) -> Engine:
    """The engine of a block, which nothing has been asked yet. Raises ConfigError."""
    if dialect_of(settings) is SQLITE:
        from services.auth.sql import sqlite

        key: tuple[object, ...] = ("sqlite", settings.sqlite_path, settings.sqlite_journal_mode)
        key += (settings.sqlite_busy_timeout_msecs, settings.sql_query_timeout_msecs, settings.sql_queue_limit)
        name = repr(key)
        if name not in context.shared:
            context.shared[name] = sqlite.Sqlite(settings, context.log)
    else:
        try:
            from services.auth.sql import pgsql
        except ImportError as error:
            raise ConfigError(
                f"the driver for PostgreSQL is not installed ({error}): pip install 'roost[postgres]'",
                key="sql_driver",
            ) from error
        key = ("pgsql", settings.pgsql, settings.sql_connect_timeout_secs)
        name = repr((*key, settings.sql_query_timeout_msecs, settings.sql_queue_limit))
        if name not in context.shared:
            context.shared[name] = pgsql.Pgsql(settings, context.log)
    return cast(Engine, context.shared[name])
