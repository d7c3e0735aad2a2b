"""memory: gone with the process, seen by this process alone. For tests, and for what may be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from roost.dict import table
from roost.dict.api import Batch, CommitResult, Flags, Key, Surroundings, Values
from roost.settings.schema.dict import DictSettings

PURGE_EVERY = 1000  # commits


class MemoryDriver:
    loop_bound = False

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._table: table.Table = {}
        self._commits = 0

    async def lookup(self, key: Key, user: str) -> Values | None:
        return table.lookup(self._table, key, self._clock())

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        return table.rows(self._table, path, flags, limit, self._clock())

    async def apply(self, batch: Batch) -> CommitResult:
        now = self._clock()
        self._commits += 1
        if self._commits % PURGE_EVERY == 0:
            for key in table.expired(self._table, now):
                del self._table[key]
        return table.apply(self._table, batch, now)

    async def close(self) -> None:
        self._table.clear()


def open_memory(settings: DictSettings, surroundings: Surroundings) -> MemoryDriver:
    return MemoryDriver(surroundings)
