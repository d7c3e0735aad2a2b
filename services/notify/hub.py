"""PURE. Who watches whom, and who is to be told of a hint. Workers are numbers here; nothing is sent.

A worker that publishes for a user nobody else watches is told so (NOBODY) and remembered; when somebody begins to watch
that user it is told WANTED. So most deliveries and changes cost no message at all, and none is missed: a worker
that kept hints back answers WANTED with one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

MAX_WATCHED = 100_000  # users one worker may watch
MAX_MUTED = 8192  # users remembered per worker as "told NOBODY"; twice what a worker remembers


@dataclass(slots=True)
class _Worker:
    watched: set[str] = field(default_factory=set)
    muted: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Hub:
    """Every method says whom to tell what; the caller tells them."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._watchers: dict[str, set[int]] = {}  # user → workers
        self._muted: dict[str, set[int]] = {}  # user → workers told NOBODY
        self._last = 0

    @property
    def users(self) -> int:
        """How many users are watched."""
        return len(self._watchers)

    def join(self) -> int:
        """A new worker's number."""
        self._last += 1
        self._workers[self._last] = _Worker()
        return self._last

    def leave(self, worker: int) -> None:
        """The worker is gone, with all it watched."""
        record = self._workers.pop(worker)
        for user in record.watched:
            _discard(self._watchers, user, worker)
        for user in record.muted:
            _discard(self._muted, user, worker)

    def watch(self, worker: int, user: str) -> list[int]:
        """The workers to tell WANTED. None of them is ``worker`` itself. Raises OverflowError past MAX_WATCHED."""
        record = self._workers[worker]
        if user in record.watched:
            return []
        if len(record.watched) >= MAX_WATCHED:
            raise OverflowError(f"more than {MAX_WATCHED} users watched")
        record.watched.add(user)
        self._watchers.setdefault(user, set()).add(worker)
        muted = self._muted.get(user)
        if not muted:
            return []
        told = [other for other in muted if other != worker]
        for other in told:
            self._workers[other].muted.pop(user, None)
            _discard(self._muted, user, other)
        return told

    def unwatch(self, worker: int, user: str) -> None:
        record = self._workers[worker]
        if user in record.watched:
            record.watched.discard(user)
            _discard(self._watchers, user, worker)

    def publish(self, worker: int, user: str) -> list[int]:
        """The workers to pass a hint on to; empty: tell ``worker`` NOBODY (call ``mute``)."""
        watchers = self._watchers.get(user)
        return [other for other in watchers if other != worker] if watchers else []

    def mute(self, worker: int, user: str) -> str | None:
        """``worker`` is told NOBODY for ``user``. Returns a user it must be told WANTED for, to make room."""
        muted = self._workers[worker].muted
        muted[user] = None
        muted.move_to_end(user)
        self._muted.setdefault(user, set()).add(worker)
        if len(muted) <= MAX_MUTED:
            return None
        oldest, _ = muted.popitem(last=False)
        _discard(self._muted, oldest, worker)
        return oldest

    def unmute_all(self, worker: int) -> None:
        """``worker`` was told RESYNC, which makes it forget every NOBODY."""
        muted = self._workers[worker].muted
        for user in muted:
            _discard(self._muted, user, worker)
        muted.clear()


def _discard(table: dict[str, set[int]], user: str, worker: int) -> None:
    workers = table.get(user)
    if workers is not None:
        workers.discard(worker)
        if not workers:
            del table[user]
