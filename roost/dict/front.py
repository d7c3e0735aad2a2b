"""``Dict``: what callers hold. Checks keys and limits, collects a transaction's changes, sorts, bounds the time.

A transaction that is forgotten is rolled back: nothing is done before ``commit``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from roost.dict import keys
from roost.dict.api import (
    COMMITTED,
    INTEGER_HIGH,
    INTEGER_LOW,
    Batch,
    Change,
    CommitResult,
    Driver,
    Flags,
    Key,
    Kind,
    Outcome,
    Values,
)
from roost.errors import LimitExceeded, Malformed, RoostError, Unavailable
from roost.settings.schema.dict import DictSettings

COMMITTED_ALREADY = "dict transaction already committed"
ABORTED_ALREADY = "dict transaction already aborted"


class Dict:
    """One dictionary of the configuration. Calls may run at the same time. ``reopen`` makes another driver like it, for
    calls from another event loop than its own (a script where Lua cannot yield)."""

    def __init__(self, driver: Driver, settings: DictSettings, reopen: Callable[[], Driver] | None = None) -> None:
        self.name = settings.name
        self.settings = settings
        self._driver = driver
        self._reopen = reopen if driver.loop_bound else None
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # made before the loop: the one of the first call
        self._timeout_secs = settings.timeout_msecs / 1000

    async def lookup(self, key: str, user: str = "") -> Values | None:
        """The values of a key; None = absent. Raises Malformed, LimitExceeded, Unavailable."""
        parsed = self.key(key, user)
        try:
            async with asyncio.timeout(self._timeout_secs):
                async with self.driver() as driver:
                    return await driver.lookup(parsed, user)
        except TimeoutError:
            raise self._late() from None

    async def iterate(
        self, path: str, flags: Flags = Flags.NONE, user: str = "", max_rows: int = 0
    ) -> AsyncGenerator[tuple[str, Values], None]:
        """The pairs below ``path``, all read before the first is given. ``max_rows`` stops there; 0: more than
        ``dict_max_iterate_rows`` raise LimitExceeded. Raises Malformed, Unavailable."""
        parsed = self.key(path, user)
        most = self.settings.max_iterate_rows
        sorting = flags & (Flags.SORT_BY_KEY | Flags.SORT_BY_VALUE)
        wanted = max_rows if 0 < max_rows <= most and not sorting else most + 1
        # Values are left out here, so that sorting by them still works.
        asked = flags & ~Flags.NO_VALUE if Flags.SORT_BY_VALUE in flags else flags
        try:
            async with asyncio.timeout(self._timeout_secs):
                async with self.driver() as driver:
                    rows = list(await driver.rows(parsed, asked, user, wanted))
        except TimeoutError:
            raise self._late() from None
        if len(rows) > most and (sorting or not 0 < max_rows <= most):
            raise LimitExceeded("Too many dict rows", detail=f"dict {self.name}: dict_max_iterate_rows = {most}")
        if Flags.SORT_BY_KEY in flags:
            rows.sort(key=lambda row: row[0].octets)
        elif Flags.SORT_BY_VALUE in flags:
            rows.sort(key=lambda row: row[1])
        if max_rows > 0:
            del rows[max_rows:]
        for key, values in rows:
            yield key.full, () if Flags.NO_VALUE in flags else values

    async def all_rows(
        self, path: str, flags: Flags = Flags.NONE, user: str = "", max_rows: int = 0
    ) -> list[tuple[str, Values]]:
        """``iterate`` as a list."""
        async with aclosing(self.iterate(path, flags, user, max_rows)) as rows:
            return [row async for row in rows]

    def transaction(self, user: str = "", expire_secs: int = 0) -> Transaction:
        """Begin collecting changes. What is set in it vanishes ``expire_secs`` after the commit; 0 = never."""
        if not 0 <= expire_secs <= self.settings.max_expire_secs:
            raise LimitExceeded("The dict expiry is too long", detail=f"{expire_secs}; dict_max_expire")
        return Transaction(self, user, expire_secs)

    async def close(self) -> None:
        await self._driver.close()

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Driver]:
        """The driver for the running loop."""
        if self._reopen is None:
            yield self._driver
            return
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is loop:
            yield self._driver
            return
        own = self._reopen()
        try:
            yield own
        finally:
            await own.close()

    def key(self, text: str, user: str) -> Key:
        """Raises Malformed, LimitExceeded."""
        return keys.parse(text, user, self.settings.max_key_octets)

    def _late(self) -> Unavailable:
        return Unavailable("The dict did not answer in time", detail=f"dict {self.name}: dict_timeout")


class Transaction:
    """Changes that are done together by ``commit``, in their order. One caller at a time."""

    def __init__(self, owner: Dict, user: str, expire_secs: int) -> None:
        self._owner = owner
        self._user = user
        self._expire_secs = expire_secs
        self._timestamp_ns = 0
        self._changes: list[Change] = []
        self._octets = 0
        self._ended = ""

    def set(self, key: str, value: bytes) -> None:
        """Raises Malformed, LimitExceeded."""
        limit = self._owner.settings.max_value_octets
        if len(value) > limit:
            raise LimitExceeded(
                "The dict value is too long", detail=f"{len(value)} octets; dict_max_value_size = {limit}"
            )
        self._add(Change(Kind.SET, self._owner.key(key, self._user), bytes(value)))

    def unset(self, key: str) -> None:
        """Unsetting an absent key is no error. Raises Malformed, LimitExceeded."""
        self._add(Change(Kind.UNSET, self._owner.key(key, self._user)))

    def atomic_inc(self, key: str, diff: int) -> None:
        """Add to a decimal number that must be there already. Raises Malformed, LimitExceeded."""
        if not INTEGER_LOW <= diff <= INTEGER_HIGH:
            raise LimitExceeded("The difference is too large")
        self._add(Change(Kind.INC, self._owner.key(key, self._user), diff=diff))

    def set_timestamp(self, secs: int, nsecs: int = 0) -> None:
        """When the changes were made, for databases that solve conflicts by time. Raises Malformed."""
        self._check_open()
        if not (0 <= nsecs < 1_000_000_000 and 0 <= secs < 1 << 33):
            raise Malformed("Invalid dict timestamp")
        self._timestamp_ns = secs * 1_000_000_000 + nsecs

    async def commit(self) -> CommitResult:
        """Do it. Raises Malformed when the transaction has ended already; failures are in the result."""
        self._check_open()
        self._ended = COMMITTED_ALREADY
        changes, self._changes = self._changes, []
        if not changes:
            return COMMITTED
        batch = Batch(tuple(changes), self._user, self._expire_secs, self._timestamp_ns)
        try:
            async with asyncio.timeout(self._owner.settings.timeout_msecs / 1000):
                async with self._owner.driver() as driver:
                    return await driver.apply(batch)
        except TimeoutError:
            return CommitResult(Outcome.UNCERTAIN, "the dict did not answer in time")
        except RoostError as error:
            return CommitResult(Outcome.FAILED, str(error))

    def rollback(self) -> None:
        """Forget the changes. Raises Malformed when the transaction has ended already."""
        self._check_open()
        self._ended = ABORTED_ALREADY
        self._changes = []

    def _check_open(self) -> None:
        if self._ended:
            raise Malformed(self._ended)

    def _add(self, change: Change) -> None:
        self._check_open()
        settings = self._owner.settings
        if len(self._changes) >= settings.max_transaction_keys:
            raise LimitExceeded("Too many changes in a dict transaction", detail="dict_max_transaction_keys")
        self._octets += len(change.value) + len(change.key.path)
        if self._octets > settings.max_transaction_octets:
            raise LimitExceeded("The dict transaction is too large", detail="dict_max_transaction_size")
        self._changes.append(change)
