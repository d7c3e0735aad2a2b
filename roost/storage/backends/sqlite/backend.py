"""The embedded store: one SQLite database a user (``docs/storage.md``).

This object holds what all users of a process share: the writer threads, the open databases in the order of their use,
the memory for columns, the timer that closes what is idle.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable

from roost.errors import RoostError, Unavailable
from roost.settings.variables import expand_path
from roost.storage.api import BackendContext, ConnInfo, Features, Identity
from roost.storage.backends.sqlite.box import ColumnCache
from roost.storage.backends.sqlite.connection import check_library, give_back_memory
from roost.storage.backends.sqlite.store import Store
from roost.storage.backends.sqlite.user import SqliteUser
from roost.storage.backends.sqlite.writer import Job, Pool, answer
from roost.storage.limits import Limits
from roost.storage.message import mime_limits
from roost.storage.places import device_of, network_filesystem
from roost.storage.waiting import Clock, Turn

DATABASE = "store.db"
REST_SECS = 0.4  # a resting store is closed when nobody has used it for so long
RESTING = -(1 << 40)  # ``Store.used`` of a store whose sessions rest; any use overwrites it
TRIM_STORES = 16  # after so many closed stores their memory is given back to the system
RECENT_STORES = 256
COMPLAINT_SECS = 10  # of one kind of trouble no more than one line in this time


class SqliteBackend:
    """See ``roost.storage.api.Backend``."""

    features = Features()

    def __init__(self, context: BackendContext) -> None:
        """Raises ConfigError for a SQLite that can lose mail, TypeError for settings of the wrong kind."""
        check_library()
        self.limits = Limits.of(context.settings)
        self.mime_limits = mime_limits(self.limits)
        self.publish = context.publish
        self.log = context.log
        self.pool = Pool(self.limits.store_writer_threads)
        self.cache = ColumnCache(self.limits.store_cache_octets)
        self.clock: Clock
        self.ticks = 0
        self._stores: weakref.WeakValueDictionary[str, Store] = weakref.WeakValueDictionary()
        self._recent: dict[str, Store] = {}  # kept for the next login, closed or never opened: a few KB each
        self._open: dict[str, Store] = {}
        self._cancel_tick: Callable[[], None] | None = None
        self._resting: list[Store] = []
        self._closed_since_trim = 0
        self._complained: dict[str, float] = {}
        self._networks: dict[int, str | None] = {}

    async def start(self) -> None:
        self.clock = Clock()

    async def aclose(self) -> None:
        """Finish what is queued, close every database."""
        for store in list(self._open.values()):
            store.care.derive_now()
            while not store.idle:
                await self._turn(store)
        if self._cancel_tick is not None:
            self._cancel_tick()
            self._cancel_tick = None
        self.pool.close()
        for store in list(self._open.values()):
            store.close()
        self._open.clear()

    async def _turn(self, store: Store) -> None:
        """Until the jobs that are queued now are answered."""
        try:
            await store.submit(lambda tx: None)
        except RoostError:
            pass
        await Turn()

    async def open_user(self, conn: ConnInfo, identity: Identity) -> SqliteUser:
        path = self.path_of(identity)
        store = self._recent.get(path) or self._stores.get(path)
        if store is None:
            store = self._stores[path] = Store(self, path, identity.username)
            if len(self._recent) >= RECENT_STORES:
                self._recent.clear()
            self._recent[path] = store
        return SqliteUser(store, identity.username, identity.append_limit(self.limits.mail_max_message_octets))

    def path_of(self, identity: Identity) -> str:
        """The user's database. Raises Refused, Unavailable."""
        own = identity.settings.get("mail_path")
        template = own if isinstance(own, str) else self.limits.mail_path
        home = identity.home
        if not template and home.startswith("/"):  # nearly everybody
            return f"{home}{DATABASE}" if home.endswith("/") else f"{home}/{DATABASE}"
        if template.startswith("~/") and identity.home:
            path = os.path.join(identity.home, expand_path(template[2:], _variables(identity)))
            if not path.endswith(".db"):
                path = os.path.join(path, DATABASE)
        elif template:
            path = expand_path(template, _variables(identity))
            if not path.endswith(".db"):
                path = os.path.join(path, DATABASE)
        elif identity.home:
            path = os.path.join(identity.home, DATABASE)
        else:
            raise Unavailable("No place for mail", detail=f"{identity.username}: neither home nor mail_path")
        if not os.path.isabs(path):
            raise Unavailable("No place for mail", detail=f"{identity.username}: {path} is not absolute")
        return path

    def check_place(self, path: str) -> None:
        """Raises Unavailable for a network file system (unless forced), OSError."""
        if self.limits.store_allow_network:
            return
        device = device_of(path)
        if device not in self._networks:
            self._networks[device] = network_filesystem(device)
        kind = self._networks[device]
        if kind is not None:
            raise Unavailable(
                "The mail store is not available now",
                detail=f"{path} is on a network file system ({kind}), where SQLite's locks cannot be trusted;"
                " store_allow_network = yes forces it",
            )

    # -- for stores -------------------------------------------------------------------------------------------------

    def opened(self, store: Store) -> None:
        """A store was opened: it is closed again when it is idle, or when there are too many."""
        self._open[store.path] = store
        store.used = self.ticks
        if len(self._open) > self.limits.store_cache_users:
            idle = [other for other in self._open.values() if other is not store and other.idle]
            if idle:
                self._close(min(idle, key=lambda other: other.used))
        if self._cancel_tick is None:
            self._cancel_tick = self.clock.call_later(self._tick_secs(), self._tick)

    def _tick_secs(self) -> float:
        return max(self.limits.store_idle_close_secs / 4, 0.05)

    def _tick(self) -> None:
        """A quarter of the idle time is over: wind down what was not used for three of them, close after four."""
        self.ticks += 1
        self._cancel_tick = None
        for store in list(self._open.values()):
            unused = self.ticks - store.used
            if not store.idle:
                continue
            if unused > 4 or store.lost():
                self._close(store)
            elif unused == 4:
                store.care.wind_down()
        if self._open:
            self._cancel_tick = self.clock.call_later(self._tick_secs(), self._tick)

    def _close(self, store: Store) -> None:
        del self._open[store.path]
        self._recent.pop(store.path, None)
        store.close()

    def rest(self, store: Store) -> None:
        """A session of this store rests. Thousands of clients idle, each on a store of its own: an open database costs
        140 KB, opening it again 0.2 ms."""
        if store.path in self._open and store.used != RESTING:
            store.used = RESTING
            if not self._resting:
                self.clock.call_later(REST_SECS, self._close_resting)
            self._resting.append(store)

    def _close_resting(self) -> None:
        """What still rests is closed; what has written is wound down first, on the writer's thread."""
        resting, self._resting = self._resting, []
        for store in resting:
            if store.used != RESTING or self._open.get(store.path) is not store:
                continue
            if store.idle and not store.wrote:
                self._close(store)
                self._closed_since_trim += 1
                continue
            if store.idle:
                store.wrote = False
                store.care.wind_down()
            self._resting.append(store)
        if self._resting:
            self.clock.call_later(REST_SECS, self._close_resting)
        elif self._closed_since_trim >= TRIM_STORES:
            self._closed_since_trim = 0
            give_back_memory()

    def answered(self, store: Store, jobs: list[Job]) -> None:
        """On the loop: a group of jobs is done. Hints go out first, so that nobody is told later than the client.

        Who waits for an answer may go on inside ``answer``, with new jobs and with anything else.
        """
        store.pending -= len(jobs)
        for job in jobs:
            if job.error is None:
                for hint in job.hints:
                    self.publish(hint)
            elif job.answer is None:
                self.complain(f"{store.path}: upkeep: {job.error}")
        for job in jobs:
            answer(job)

    def complain(self, text: str) -> None:
        """A warning, but the same trouble not over and over."""
        now = time.monotonic()
        if len(self._complained) > 1000:
            self._complained.clear()
        if now - self._complained.get(text, -COMPLAINT_SECS) >= COMPLAINT_SECS:
            self._complained[text] = now
            self.log("warning", text)


def _variables(identity: Identity) -> dict[str, str | None]:
    """Of ``mail_path``."""
    name, _, domain = identity.username.partition("@")
    return {"user": identity.username, "username": name, "domain": domain, "home": identity.home or None}
