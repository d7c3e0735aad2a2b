"""Dictionaries: ``dict NAME { … }``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, MSECS, PORT, SECRET, SECS, SIZE, STR, STRLIST, TEMPLATE, UINT, setting


@dataclass(frozen=True)
class DictSettings:
    """``dict NAME { … }``: a key → value database (docs/dict.md). Written outside, a setting holds for every dict."""

    PREFIX: ClassVar[str] = "dict_"

    name: str = setting("", type=STR, text="Name of the section.")
    driver: str = setting(
        "", type=STR, text='memory, file, sqlite, redis, fail, or an installed one; "" = the section\'s name.'
    )
    file_lock_timeout_msecs: int = setting(
        10_000, type=MSECS, low=1, text="How long the file driver waits for another process that writes."
    )
    file_max_octets: int = setting(
        16 << 20, type=SIZE, key="dict_file_max_size", low=1024, text="A bigger file of the file driver is refused."
    )
    file_path: str = setting("", type=TEMPLATE, text="File of the file driver; may hold %{user} and %{home}.")
    max_expire_secs: int = setting(10 * 365 * 86400, type=SECS, low=1, text="Longest expiry a writer may ask for.")
    max_iterate_rows: int = setting(
        100_000, type=UINT, low=1, unit="rows", text="An iteration over more keys fails unless it asks for fewer."
    )
    max_key_octets: int = setting(
        4096, type=SIZE, key="dict_max_key_size", low=64, text="Longest key, the user's name included."
    )
    max_open_files: int = setting(
        50,
        type=UINT,
        low=1,
        unit="databases",
        text="Databases of one sqlite dict kept open, when the path holds variables.",
    )
    max_transaction_keys: int = setting(1000, type=UINT, low=1, unit="changes", text="Changes of one transaction.")
    max_transaction_octets: int = setting(
        16 << 20, type=SIZE, key="dict_max_transaction_size", low=1024, text="Keys and values of one transaction."
    )
    max_value_octets: int = setting(1 << 20, type=SIZE, key="dict_max_value_size", low=1, text="Longest value.")
    max_waiting: int = setting(
        1000, type=UINT, low=1, unit="calls", text="Calls that may wait for a file or a database; above it they fail."
    )
    python_settings: Mapping[str, str] = setting({}, type=STRLIST, text="For installed drivers: their own settings.")
    redis_connections: int = setting(
        20, type=UINT, key="redis_max_connections", low=1, unit="connections", text="Connections to Redis, by process."
    )
    redis_db_id: int = setting(0, type=UINT, key="redis_db_id", text="Number of the Redis database.")
    redis_expire_secs: int = setting(
        0, type=SECS, key="redis_expire", unlimited=0, low=1, text="Expiry of keys that are written without one."
    )
    redis_full_keys: bool = setting(
        False,
        type=BOOL,
        key="redis_full_keys",
        text="Keep shared/ and priv/ in the names in Redis. no = as Dovecot, where shared/USER/x is USER's priv/x.",
    )
    redis_host: str = setting("127.0.0.1", type=STR, key="redis_host", text="Host of the Redis server.")
    redis_key_prefix: str = setting("", type=STR, key="redis_key_prefix", text="Put before every key in Redis.")
    redis_password: str = setting("", type=SECRET, key="redis_password", text="Password of the Redis server.")
    redis_port: int = setting(6379, type=PORT, key="redis_port", text="Port of the Redis server.")
    redis_request_timeout_msecs: int = setting(
        30_000, type=MSECS, key="redis_request_timeout", low=1, text="How long Redis may take for one answer."
    )
    redis_socket_path: str = setting(
        "", type=STR, key="redis_socket_path", text='UNIX socket of the Redis server; "" = host and port.'
    )
    sqlite_busy_timeout_msecs: int = setting(
        10_000, type=MSECS, low=1, text="How long the sqlite driver waits for another process that writes."
    )
    sqlite_path: str = setting("", type=TEMPLATE, text="Database of the sqlite driver; may hold %{user} and %{home}.")
    timeout_msecs: int = setting(60_000, type=MSECS, low=1, text="How long one call may take altogether.")
