"""A dictionary as a plain mapping: lookup, rows and all-or-nothing changes, for the drivers that hold everything in
memory while they work. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from roost.dict.api import COMMITTED, Batch, CommitResult, Flags, Key, Kind, Outcome, Values, increased
from roost.dict.keys import selected


class Entry(NamedTuple):
    """``expires``: unix time; 0 = never."""

    value: bytes
    expires: float = 0

    def alive(self, now: float) -> bool:
        return not self.expires or self.expires > now


Table = dict[Key, Entry]


def lookup(table: Mapping[Key, Entry], key: Key, now: float) -> Values | None:
    entry = table.get(key)
    return (entry.value,) if entry is not None and entry.alive(now) else None


def rows(table: Mapping[Key, Entry], path: Key, flags: Flags, limit: int, now: float) -> list[tuple[Key, Values]]:
    found: list[tuple[Key, Values]] = []
    for key, entry in table.items():
        if selected(path, key, flags) and entry.alive(now):
            found.append((key, (entry.value,)))
            if len(found) >= limit:
                break
    return found


def apply(table: Table, batch: Batch, now: float) -> CommitResult:
    """Change the table by all of the batch, or not at all."""
    made: dict[Key, Entry | None] = {}
    expires = now + batch.expire_secs if batch.expire_secs else 0
    for kind, key, value, diff in batch.changes:
        if kind is Kind.SET:
            made[key] = Entry(value, expires)
        elif kind is Kind.UNSET:
            made[key] = None
        else:
            old = made[key] if key in made else table.get(key)
            if old is None or not old.alive(now):
                return CommitResult(Outcome.NOTFOUND, f"{key.full} doesn't exist")
            total = increased(old.value, diff)
            if total is None:
                return CommitResult(Outcome.FAILED, f"{key.full} is no number that can be changed by {diff}")
            made[key] = Entry(total, expires or old.expires)
    for key, entry in made.items():
        if entry is None:
            table.pop(key, None)
        else:
            table[key] = entry
    return COMMITTED


def expired(table: Mapping[Key, Entry], now: float) -> list[Key]:
    return [key for key, entry in table.items() if not entry.alive(now)]
