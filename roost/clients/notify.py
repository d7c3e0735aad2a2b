"""``Hub``: tells this process's sessions, and through the notify room the other workers, that a user's mail changed.

Hints only say "look" (``roost.storage.api.Update``): lost, late or repeated ones harm nothing but speed. ``publish``
never blocks and may be called from any thread; local watchers are called in the same turn of the loop. Other workers
get one short line through the notify room, unless it said that nobody else watches the user.

After the notify room was away, every local watcher gets ``Update(username)``: look at everything.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from roost.clients.link import Greeting, Link
from roost.events.log import Log
from roost.ipc import notify as wire
from roost.ipc.lines import MAX_LINE_OCTETS
from roost.storage.api import Kind, Update

Callback = Callable[[Update], None]

MAX_MUTED = 4096  # users remembered as watched by nobody else
LINGER_SECS = 5.0  # the room is told to forget a user this long after the last local watcher left
EVERYTHING = Kind.NEW | Kind.FLAGS | Kind.EXPUNGE | Kind.MAILBOX_LIST | Kind.SUBSCRIPTION


class Hub:
    """One per worker process. ``socket_path`` "" or None: no notify room, only this process's own sessions."""

    def __init__(self, socket_path: str | None, log: Log) -> None:
        self.log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._local: dict[str, list[tuple[str, Callback]]] = {}  # user key → (username, callback)
        self._announced: set[str] = set()  # keys the room knows we watch
        self._muted: OrderedDict[str, bool] = OrderedDict()  # keys nobody else watches → a hint was kept back
        self._inbox: deque[Update] = deque()
        self._scheduled = False
        self._leaving: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._link: Link | None = None
        if socket_path:
            self._link = Link(
                socket_path,
                Greeting(wire.CLIENT, wire.SERVER, wire.MAJOR, wire.MINOR),
                log,
                on_up=self._up,
                on_lines=self._lines,
                on_down=self._announced.clear,
                max_line_octets=MAX_LINE_OCTETS,
            )

    async def start(self) -> None:
        """Connect. A room that is not there is tried again in the background; no error."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        if self._link is not None:
            await self._link.start()

    async def stop(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._link is not None:
            await self._link.stop()
        self._loop = None

    def publish(self, update: Update) -> None:
        """Pass a hint on. Any thread, never blocks, never raises; does nothing before ``start`` and after ``stop``."""
        loop = self._loop
        if loop is None:
            return
        if not self._local and update.username in self._muted and threading.get_ident() == self._thread:
            self._muted[update.username] = True  # nobody watches, neither here nor elsewhere
            return
        with self._lock:
            self._inbox.append(update)
            if self._scheduled:
                return
            self._scheduled = True
        if threading.get_ident() == self._thread:
            loop.call_soon(self._deliver)
            return
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: the process ends
            pass

    def watch(self, username: str, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` on the loop thread for every hint about ``username``; the returned function ends it.

        The callback must be quick. Hints this process published itself arrive too.
        """
        key = wire.user_key(username)
        entry = (username, callback)
        watchers = self._local.get(key)
        if watchers is None:
            watchers = self._local[key] = []
        watchers.append(entry)
        if key not in self._announced and self._link is not None and self._link.up:
            self._announced.add(key)
            self._link.write(wire.watch_line(key))

        def unwatch() -> None:
            try:
                watchers.remove(entry)
            except ValueError:
                return
            if not watchers and self._local.get(key) is watchers:
                del self._local[key]
                self._leave_later()

        return unwatch

    # ---- inside; everything below runs on the loop's thread

    def _deliver(self) -> None:
        with self._lock:
            self._scheduled = False
            updates = list(self._inbox)
            self._inbox.clear()
        if len(updates) > 1:
            updates = _merged(updates)
        link = self._link
        if link is not None:
            for update in updates:
                self._send(update)
            link.flush()
        if self._local:
            for update in updates:
                self._call(update)

    def _call(self, update: Update, key: str | None = None) -> None:
        """The local watchers of one user. ``key``: from the wire, where the name may be a digest."""
        watchers = self._local.get(key if key is not None else wire.user_key(update.username))
        for username, callback in tuple(watchers or ()):
            hint = update if key is None else Update(username, update.mailbox_id, update.modseq, update.kinds)
            try:
                callback(hint)
            except Exception as exc:
                self.log.exception("Watcher failed", exc=exc)

    def _send(self, update: Update) -> None:
        """To the notify room, unless nobody else watches the user."""
        assert self._link is not None
        key = wire.user_key(update.username)
        if key in self._muted:
            self._muted[key] = True
        elif self._link.up:
            self._link.write(wire.hint_line(wire.Hint(key, update.mailbox_id, update.modseq, int(update.kinds))))

    def _up(self) -> None:
        """The room is there (again): say whom we watch, forget what it said, look at everything."""
        assert self._link is not None
        self._muted.clear()
        self._announced = set(self._local)
        for key in self._announced:
            self._link.write(wire.watch_line(key))
        self._resync()

    def _resync(self) -> None:
        for key in tuple(self._local):
            self._call(Update("", kinds=EVERYTHING), key)

    def _lines(self, lines: list[bytes]) -> None:
        for line in lines:
            message = wire.parse(line)
            if isinstance(message, wire.Hint):
                kinds = Kind(message.kinds & int(EVERYTHING))
                self._call(Update("", message.mailbox, message.modseq, kinds), message.user)
            elif isinstance(message, wire.Nobody):
                self._muted.setdefault(message.user, False)
                self._muted.move_to_end(message.user)
                if len(self._muted) > MAX_MUTED:
                    self._unmute(self._muted.popitem(last=False))
            elif isinstance(message, wire.Wanted):
                self._unmute((message.user, self._muted.pop(message.user, False)))
            elif isinstance(message, wire.Resync):
                while self._muted:
                    self._unmute(self._muted.popitem())
                self._resync()

    def _unmute(self, entry: tuple[str, bool]) -> None:
        """Somebody may watch now: what was kept back is told as one hint for everything."""
        key, kept_back = entry
        if kept_back and self._link is not None:
            self._link.write(wire.hint_line(wire.Hint(key, "", 0, int(EVERYTHING))))

    def _leave_later(self) -> None:
        if self._leaving is None and self._loop is not None and self._link is not None:
            self._leaving = self._loop.call_later(LINGER_SECS, self._leave)

    def _leave(self) -> None:
        """Tell the room whom nobody here watches any more; a user who came back meanwhile costs nothing."""
        self._leaving = None
        assert self._link is not None
        for key in self._announced - self._local.keys():
            self._announced.discard(key)
            self._link.write(wire.unwatch_line(key))


def _merged(updates: list[Update]) -> list[Update]:
    """One hint a user and mailbox, in the order of the first of each."""
    found: dict[tuple[str, str], Update] = {}
    for update in updates:
        key = (update.username, update.mailbox_id)
        old = found.get(key)
        if old is not None:
            update = Update(
                update.username, update.mailbox_id, max(old.modseq, update.modseq), old.kinds | update.kinds
            )
        found[key] = update
    return list(found.values())
