"""``last_login``: when each user was last here, written to a dict behind the logins' back.

``note`` never waits: the newest time of each key waits in a table of bounded size, and one task at a time writes what
is there, many keys in a transaction. A dict that fails loses times, never logins; it is complained of now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from roost.dict.front import Dict, Transaction
from roost.dict.keys import SHARED, escape
from roost.errors import RoostError
from roost.events.log import Log
from roost.settings.filters.value import Injected
from roost.settings.schema.dict import DictSettings
from roost.settings.schema.last_login import LastLoginSettings
from roost.settings.variables import expand

FLUSH_SECS = 0.25
COMPLAINT_SECS = 60.0
AT_ONCE = 100  # keys of one transaction
TOGETHER = frozenset({"memory", "file", "sqlite", "redis", "fail"})  # drivers that may be told of many users at once
DIVISORS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class LastLogin:
    """``now_ns``: unix time."""

    def __init__(
        self,
        store: Dict,
        settings: LastLoginSettings,
        log: Log,
        spawn: Spawn,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._dict = store
        self._settings = settings
        self._log = log
        self._spawn = spawn
        self._now_ns = now_ns
        self._divisor = DIVISORS[settings.last_login_precision]
        self._together = _together(store.settings)
        self._waiting: dict[tuple[str, str], bytes] = {}  # (user, key) → value; in order of first coming
        self._timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._quiet_until = 0.0

    def note(self, user: str, variables: Mapping[str, str], injected: Injected | None = None) -> None:
        """He is here now. Never waits, never raises."""
        settings = self._settings
        value = b"%d" % (self._now_ns() // self._divisor)
        try:
            self._put(user, expand(settings.last_login_key, variables, escape=escape, injected=injected), value)
            for key, text in settings.last_login_dict_fields.items():
                name = expand(key, variables, escape=escape, injected=injected)
                value = expand(text, variables, injected=injected).encode("utf-8", "surrogateescape")
                self._put(user, name, value)
        except RoostError as error:
            self._complain(str(error))
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECS, self._due)

    def _put(self, user: str, key: str, value: bytes) -> None:
        place = user, SHARED + key
        if place not in self._waiting and len(self._waiting) >= self._settings.last_login_max_waiting:
            self._complain("too many times wait for the dict, some are lost (last_login_max_waiting)")
            return
        self._waiting[place] = value

    def _due(self) -> None:
        self._timer = None
        self._spawn(self.flush(), "last_login")

    async def flush(self) -> None:
        """Write what waits now. Failures are logged, and what failed is forgotten."""
        async with self._writing:
            left = len(self._waiting)
            while left > 0 and self._waiting:
                left -= await self._write_some()

    async def _write_some(self) -> int:
        """One transaction; → how many keys were taken for it."""
        first, _ = next(iter(self._waiting))
        change = self._dict.transaction("" if self._together else first)
        taken = 0
        for place in list(self._waiting)[:AT_ONCE]:
            if place[0] != first and not self._together:
                break
            self._add(change, place[1], self._waiting.pop(place))
            taken += 1
        result = await change.commit()
        if not result.ok:
            self._complain(result.reason)
        return taken

    def _add(self, change: Transaction, key: str, value: bytes) -> None:
        try:
            change.set(key, value)
        except RoostError as error:
            self._complain(str(error))

    async def close(self) -> None:
        """Write the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.flush()

    def _complain(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + COMPLAINT_SECS
            self._log.error(f"last_login: {text}")


def _together(settings: DictSettings) -> bool:
    """Whether the dict is one database for all users."""
    paths = (settings.file_path, settings.sqlite_path)
    return (settings.driver or settings.name) in TOGETHER and not any("%{" in each or each[:1] == "~" for each in paths)
