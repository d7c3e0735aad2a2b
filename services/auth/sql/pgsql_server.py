"""One PostgreSQL server of a ``pgsql`` section: how to connect, its connections, and its rest after a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg

from roost.errors import ConfigError, Unavailable
from roost.events.log import Log
from roost.settings.schema.sql import PgsqlSettings, SqlSettings
from services.auth.sql.rows import FAILURE

FIRST_REST_SECS = 0.25
MOST_REST_SECS = 15.0
CLOSE_SECS = 1.0
PREPARED_STATEMENTS = 100
IN_URL = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "target_session_attrs"})
AS_ARGUMENT = frozenset({"dbname", "user", "password", "passfile"})
OTHERS = frozenset(
    {"port", "host", "hostaddr", "connect_timeout", "application_name", "options", "statement_cache_size"}
)
LEFT = frozenset({"client_encoding", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"})
"""libpq's, without effect here."""

TEXT_TYPES = (
    *("text", "varchar", "bpchar", "name", "int2", "int4", "int8", "float4", "float8", "numeric", "oid", "uuid"),
    *("inet", "cidr", "macaddr", "date", "time", "timestamp", "timestamptz", "interval", "json", "jsonb"),
)
"""Types whose values cross as text, beside bool."""


class Server:
    """See the head of this file."""

    def __init__(self, settings: PgsqlSettings, sql: SqlSettings, log: Log) -> None:
        parameters = settings.parameters
        unknown = set(parameters) - IN_URL - AS_ARGUMENT - OTHERS - LEFT
        if unknown:
            raise ConfigError(
                f"parameters: {', '.join(sorted(unknown))} is not understood", key=f"pgsql {settings.name}"
            )
        self.host = settings.host or parameters.get("hostaddr") or parameters.get("host") or settings.name
        self.name = f"pgsql({self.host})"
        self._limit = settings.connection_limit
        self._log = log
        self._arguments = _arguments(self.host, settings.name, parameters, sql)
        self._connect_secs = _seconds(parameters, sql.sql_connect_timeout_secs, settings.name)
        self._database = parameters.get("dbname") or parameters.get("user", "")
        self._idle: list[Any] = []
        self._open = 0
        self._rest_secs = 0.0
        self._rests_until = 0.0

    @property
    def full(self) -> bool:
        return self._open >= self._limit

    def resting(self, now: float) -> bool:
        """It could not be reached a moment ago."""
        return now < self._rests_until

    def idle(self) -> Any:
        """A connection that nobody uses, or None."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        return None

    async def connect(self) -> Any:
        """One more. Raises Unavailable, and the server rests."""
        self._open += 1
        connection: Any = None
        try:
            async with asyncio.timeout(self._connect_secs):
                connection = await asyncpg.connect(timeout=self._connect_secs, **self._arguments)
                await _as_text(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            self._drop(connection)
            raise self._rest(error) from None
        except BaseException:
            self._drop(connection)
            raise
        if self._rest_secs:
            self._log.info(f"{self.name}: connected again")
        self._rest_secs = self._rests_until = 0.0
        return connection

    def _rest(self, error: BaseException) -> Unavailable:
        now = asyncio.get_running_loop().time()
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._connect_secs:g} seconds"
        if not self.resting(now):
            self._rest_secs = min(max(self._rest_secs * 2, FIRST_REST_SECS), MOST_REST_SECS)
            self._rests_until = now + self._rest_secs
            self._log.error(
                f"{self.name}: Connect failed to database {self._database}: {why} - "
                f"waiting for {self._rest_secs:g} seconds before retry"
            )
        return self.failure(f"Connect failed: {why}")

    def failure(self, why: str) -> Unavailable:
        return Unavailable(FAILURE, detail=f"{self.name}: {why}")

    def release(self, connection: Any, *, usable: bool) -> None:
        """Give a connection back. ``usable``: it is between two questions."""
        if usable and not connection.is_closed():
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        self._open -= 1
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        """Say goodbye on the connections that nobody uses."""
        while (connection := self.idle()) is not None:
            try:
                await connection.close(timeout=CLOSE_SECS)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                pass
            self._open -= 1

    def forget(self) -> None:
        """The connections belong to a loop that is gone."""
        for connection in self._idle:
            try:
                connection.terminate()
            except RuntimeError:
                pass
        self._idle.clear()
        self._open = 0
        self._rests_until = 0.0


async def _as_text(connection: Any) -> None:
    await connection.set_type_codec(
        "bool", schema="pg_catalog", encoder=str, decoder={"t": "yes", "f": "no"}.__getitem__, format="text"
    )
    for name in TEXT_TYPES:
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


def _arguments(host: str, section: str, parameters: Mapping[str, str], sql: SqlSettings) -> dict[str, Any]:
    """What asyncpg is called with. Raises ConfigError."""
    server_settings = {
        "application_name": parameters.get("application_name", "roost auth"),
        "standard_conforming_strings": "on",  # queries are read by this rule
        "statement_timeout": str(sql.sql_query_timeout_msecs),
    }
    if parameters.get("options"):
        server_settings["options"] = parameters["options"]
    url = {name: parameters[name] for name in IN_URL if parameters.get(name)}
    made: dict[str, Any] = {
        "dsn": "postgresql:///?" + urlencode(url),
        "host": host,
        "server_settings": server_settings,
        "statement_cache_size": _number(parameters, "statement_cache_size", PREPARED_STATEMENTS, section),
    }
    if "port" in parameters:
        made["port"] = _number(parameters, "port", 5432, section)
    for name, argument in (
        ("dbname", "database"),
        ("user", "user"),
        ("password", "password"),
        ("passfile", "passfile"),
    ):
        if parameters.get(name):
            made[argument] = parameters[name]
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if parameters.get(name) and not os.path.isabs(parameters[name]):
            raise ConfigError(f"parameters: {name} must be an absolute path", key=f"pgsql {section}")
    return made


def _number(parameters: Mapping[str, str], name: str, default: int, section: str) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise ConfigError(f"parameters: {name} must be a number", key=f"pgsql {section}")
    return int(text)


def _seconds(parameters: Mapping[str, str], default: int, section: str) -> float:
    return float(_number(parameters, "connect_timeout", default, section) or default)
