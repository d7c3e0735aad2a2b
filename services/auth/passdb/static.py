"""passdb static: one password for everybody (or none, with ``fields { nopassword = yes }``)."""

from __future__ import annotations

from roost.auth.api import Entry, Query
from roost.settings.schema.auth import PassdbSettings
from services.auth.passdb.base import DriverContext


class Static:
    """Every user exists; what differs is in the block's ``fields``, which the chain expands."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = frozenset()

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self._entry = Entry(settings.static_password or None)

    async def find(self, query: Query) -> Entry | None:
        return self._entry

    def decoy(self) -> str:
        return self._entry.password or ""
