"""PURE. Penalties of addresses that fail to authenticate (Dovecot's): a level each, from 0 to MAX_LEVEL, and the times
of its last rise and last news. Times are Unix seconds and given by the caller.

A table holds at most ``limit`` addresses: when there are more, the one without news for longest is forgotten. Anvil
keeps one, every auth process another one that follows it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

MAX_LEVEL: Final = 4
FIRST_SECS: Final = 2
MAX_SECS: Final = 15
EXPIRE_SECS: Final = 2 + 4 + 8 + 15
MAX_CHECKSUMS: Final = 10  # of one address's latest guesses


def secs_of(level: int) -> int:
    """How long the next attempt waits."""
    return _secs(level) if level > 0 else 0


def _secs(level: int) -> int:
    return min(FIRST_SECS << min(level, MAX_LEVEL), MAX_SECS)


def decayed(level: int, elapsed_secs: float) -> int:
    """What is left of a level so long after it rose."""
    level = min(level, MAX_LEVEL)
    step = MAX_LEVEL
    while level > 0 and elapsed_secs >= _secs(step):
        level -= 1
        step -= 1
    return level


class Penalty:
    """Of one address. ``risen``: when the level was set; ``updated``: of the last failure, counted or not."""

    __slots__ = ("checksums", "level", "risen", "updated")

    def __init__(self, level: int, risen: float, updated: float) -> None:
        self.level = level
        self.risen = risen
        self.updated = updated
        self.checksums: list[int] = []


class Penalties:
    """The table. ``by_address`` is for reading."""

    def __init__(self, limit: int, expire_secs: float = EXPIRE_SECS) -> None:
        self._limit = limit
        self.expire_secs = expire_secs
        self.by_address: OrderedDict[str, Penalty] = OrderedDict()  # the one without news for longest first

    def __len__(self) -> int:
        return len(self.by_address)

    def get(self, address: str, now: float) -> Penalty | None:
        found = self.by_address.get(address)
        return None if found is None or self._is_over(found, now) else found

    def level(self, address: str, now: float) -> int:
        """The level that counts now."""
        found = self.get(address, now)
        return 0 if found is None else decayed(found.level, now - found.risen)

    def increase(self, address: str, checksum: int, level: int, now: float) -> bool:
        """A failure: set the level, unless this guess (its checksum; 0: none) was already seen; whether it was set."""
        self.expire(now)
        found = self.get(address, now)
        if found is not None and checksum and checksum in found.checksums:
            found.updated = now
            self.by_address.move_to_end(address)
            return False
        self.set(address, checksum, level, now, now)
        return True

    def set(self, address: str, checksum: int, level: int, risen: float, updated: float) -> None:
        """Take somebody's word for it. A ``checksum`` that is not 0 is remembered."""
        found = self.by_address.get(address)
        if found is None:
            if len(self.by_address) >= self._limit:
                self.by_address.popitem(last=False)
            found = self.by_address[address] = Penalty(level, risen, updated)
        found.level, found.risen, found.updated = level, risen, updated
        self.by_address.move_to_end(address)
        if checksum and checksum not in found.checksums:
            found.checksums.append(checksum)
            del found.checksums[:-MAX_CHECKSUMS]

    def expire(self, now: float) -> None:
        """Forget who has had no failure for long."""
        while self.by_address:
            address, first = next(iter(self.by_address.items()))
            if not self._is_over(first, now):
                return
            del self.by_address[address]

    def rows(self) -> Iterator[tuple[str, Penalty]]:
        yield from self.by_address.items()

    def _is_over(self, one: Penalty, now: float) -> bool:
        """A clock that was set back ends it too."""
        return not -1 <= now - one.updated < self.expire_secs
