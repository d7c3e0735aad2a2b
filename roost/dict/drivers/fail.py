"""fail: every call fails, to see what callers make of it."""

from __future__ import annotations

from collections.abc import Sequence

from roost.dict.api import Batch, CommitResult, Flags, Key, Outcome, Surroundings, Values
from roost.errors import Unavailable
from roost.settings.schema.dict import DictSettings

TEXT = "This dict always fails"


class FailDriver:
    loop_bound = False

    async def lookup(self, key: Key, user: str) -> Values | None:
        raise Unavailable(TEXT)

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        raise Unavailable(TEXT)

    async def apply(self, batch: Batch) -> CommitResult:
        return CommitResult(Outcome.FAILED, TEXT)

    async def close(self) -> None:
        pass


def open_fail(settings: DictSettings, surroundings: Surroundings) -> FailDriver:
    return FailDriver()
