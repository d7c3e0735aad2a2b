"""The shipped conformance suite, on every built-in store."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from roost.storage.api import Backend, BackendContext
from roost.storage.backends import open_backend
from roost.testing.backend import BackendSuite


class TestMemory(BackendSuite):
    persistent = False

    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        return open_backend("memory", context)


class TestSqlite(BackendSuite):
    two_processes = True

    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        return open_backend("sqlite", context)


class TestSqliteAlwaysSynced(TestSqlite):
    """Flag changes go through the writer too."""

    settings: ClassVar[dict[str, object]] = {"mail_fsync": "always", "store_writer_threads": 1}


class TestSqliteWithoutMemory(TestSqlite):
    """Columns are dropped, databases closed and bodies written to files all the time."""

    settings: ClassVar[dict[str, object]] = {
        "mail_fsync": "never",
        "store_cache_octets": 1,
        "store_cache_users": 1,
        "store_body_inline_max": 64,
        "store_idle_close_secs": 1,
    }
