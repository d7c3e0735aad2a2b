"""A dict in one JSON file, for one process: read when first asked, written anew by each commit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from roost import durable
from roost.dict import table
from roost.dict.api import Batch, CommitResult, Flags, Key, Outcome, Surroundings, Values
from roost.dict.table import Entry, Table
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.dict import DictSettings


class ToyDict:
    loop_bound = False

    def __init__(self, path: Path, surroundings: Surroundings) -> None:
        self._path = path
        self._clock = surroundings.clock
        self._lock = asyncio.Lock()
        self._table: Table | None = None

    async def lookup(self, key: Key, user: str) -> Values | None:
        return table.lookup(await self._loaded(), key, self._clock())

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        return table.rows(await self._loaded(), path, flags, limit, self._clock())

    async def apply(self, batch: Batch) -> CommitResult:
        async with self._lock:
            changed = dict(await self._loaded())
            result = table.apply(changed, batch, self._clock())
            if result.ok:
                try:
                    await asyncio.to_thread(durable.replace, self._path, _octets(changed))
                except OSError as error:
                    self._table = None  # whatever the file holds now
                    return CommitResult(Outcome.UNCERTAIN, str(error))
                self._table = changed
            return result

    async def close(self) -> None:
        self._table = None

    async def _loaded(self) -> Table:
        if self._table is None:
            try:
                data = await asyncio.to_thread(self._path.read_text) if self._path.exists() else "[]"
                self._table = {Key(user, path): Entry(value.encode("latin-1"), expires)
                               for user, path, value, expires in json.loads(data)}  # fmt: skip
            except (OSError, ValueError) as error:
                raise Unavailable("The dict cannot be read", detail=f"{self._path}: {error}") from None
        return self._table


def _octets(content: Table) -> bytes:
    rows = [(*key, entry.value.decode("latin-1"), entry.expires) for key, entry in content.items()]
    return json.dumps(rows).encode()


def open_toy(settings: DictSettings, surroundings: Surroundings) -> ToyDict:
    path = settings.python_settings.get("path", "")
    if not path:
        raise ConfigError("toy needs a path", key="dict_python_settings")
    return ToyDict(Path(path), surroundings)
