"""The sql passdb and userdb: queries and the databases they are put to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import ENUM, MSECS, SECS, STR, STRLIST, TEMPLATE, UINT, setting

SQL_LEFT_OUT = {
    "mysql": "there is no driver for MySQL; sqlite and pgsql are there",
    "cassandra": "there is no driver for Cassandra; sqlite and pgsql are there",
}


@dataclass(frozen=True, repr=False)
class PgsqlSettings:
    """``pgsql NAME { … }``: a PostgreSQL server of the sql driver. Of several, one that answers is asked."""

    PREFIX: ClassVar[str] = "pgsql_"

    name: str = setting("", type=STR, text="Name of the section.")
    connection_limit: int = setting(
        5, type=UINT, low=1, high=1000, unit="connections", text="Connections to this server, by process."
    )
    host: str = setting(
        "", type=STR, text='Host, address, or folder of the UNIX socket (begins with /); "" = the section\'s name.'
    )
    parameters: Mapping[str, str] = setting(
        {},
        type=STRLIST,
        text="libpq's parameters: dbname, user, password, port, passfile, connect_timeout, application_name, options, "
        "sslmode, sslrootcert, sslcert, sslkey, sslcrl, target_session_attrs; and statement_cache_size, 0 behind a "
        "pooler.",
    )

    def __repr__(self) -> str:
        """Tells servers apart without showing a password."""
        digest = hashlib.sha256(repr(sorted(self.parameters.items())).encode("utf-8", "surrogateescape")).hexdigest()
        return f"PgsqlSettings({self.name!r}, {self.host!r}, {self.connection_limit}, <{digest[:16]}>)"


@dataclass(frozen=True, kw_only=True)
class SqlSettings:
    """What passdb and userdb share."""

    sql_connect_timeout_secs: int = setting(
        5, type=SECS, low=1, key="sql_connect_timeout", text="sql: how long a connection may take to be made."
    )
    sql_driver: str = setting(
        "",
        type=ENUM,
        choices=("", "sqlite", "pgsql"),
        left_out=SQL_LEFT_OUT,
        key="sql_driver",
        text="sql: the kind of database.",
    )
    sql_query_timeout_msecs: int = setting(
        30_000, type=MSECS, low=1, key="sql_query_timeout", text="sql: how long one query may take."
    )
    sql_queue_limit: int = setting(
        1000,
        type=UINT,
        low=1,
        key="sql_queue_limit",
        unit="queries",
        text="sql: queries that may wait for a connection; above it they fail.",
    )
    sqlite_busy_timeout_msecs: int = setting(
        1000, type=MSECS, key="sqlite_busy_timeout", text="sqlite: how long a lock of another process is waited for."
    )
    sqlite_journal_mode: str = setting(
        "wal",
        type=ENUM,
        choices=("wal", "delete"),
        key="sqlite_journal_mode",
        text="sqlite: journal mode that a rehash gives the database; nothing else writes.",
    )
    sqlite_path: str = setting("", type=STR, key="sqlite_path", text="sqlite: the database's file. It must exist.")
    pgsql: tuple[PgsqlSettings, ...] = ()  # the sections, in order


@dataclass(frozen=True, kw_only=True)
class PassdbSqlSettings(SqlSettings):
    """Of a passdb."""

    sql_query: str = setting(
        "",
        type=TEMPLATE,
        key="passdb_sql_query",
        text="sql: gives the column password and fields. Variables are bound, never put into the text.",
    )
    sql_update_query: str = setting(
        "",
        type=TEMPLATE,
        key="passdb_sql_update_query",
        text="sql: stores %{password} at a rehash.",
    )


@dataclass(frozen=True, kw_only=True)
class UserdbSqlSettings(SqlSettings):
    """Of a userdb."""

    sql_iterate_query: str = setting(
        "",
        type=TEMPLATE,
        key="userdb_sql_iterate_query",
        text="sql: lists all users, as the column user, or username and domain.",
    )
    sql_query: str = setting("", type=TEMPLATE, key="userdb_sql_query", text="sql: gives the user's fields.")
