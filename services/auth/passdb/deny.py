"""passdb deny: refuses everybody whom the block's ``username_filter`` and ``mechanisms_filter`` let through to it.

It needs no ``deny = yes``; that word is for other drivers, whose users are refused.
"""

from __future__ import annotations

from roost.auth.api import Entry, Query
from roost.settings.schema.auth import PassdbSettings
from services.auth.passdb.base import DriverContext


class Deny:
    """See the head of this file."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = frozenset()
    credentials = False

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self._entry = Entry()

    async def find(self, query: Query) -> Entry | None:
        return self._entry

    def decoy(self) -> str:
        return ""
