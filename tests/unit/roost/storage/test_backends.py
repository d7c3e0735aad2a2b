"""The shipped conformance suite, on every built-in store."""

from __future__ import annotations

from pathlib import Path

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
