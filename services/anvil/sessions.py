"""PURE. The table of sessions: by owner (a worker's connection), by user, and counted by user, service and address.

A worker that asked is given a bound: the *others* have no more sessions of such a key. It is told again when that is
exceeded (not when they become fewer: then it asks sooner than it must). So most logins need no answer.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from roost.ipc.anvil import Key, SessionRow, key_of

T = TypeVar("T")

MAX_KNOWN = 8192  # keys one worker is kept informed about
SLACK = 4  # a bound is this far above the present number


@dataclass(frozen=True, slots=True)
class _Session:
    pid: int
    user: str
    service: str
    remote_ip: str


class Sessions:
    """At most ``limit`` sessions in all. Owners are numbers that the caller gives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._by_owner: dict[int, dict[str, _Session]] = {}  # owner → session id → session
        self._by_user: dict[str, Counter[int]] = {}  # user → owner → how many there
        self._counts: dict[Key, Counter[int]] = {}  # key → owner → how many there
        self._known: dict[int, OrderedDict[Key, int]] = {}  # owner → key → the bound it was given
        self._knowers: dict[Key, set[int]] = {}
        self._dirty: dict[tuple[int, Key], None] = {}  # who must be told of which key

    def __len__(self) -> int:
        return self._total

    def connect(self, owner: int, session_id: str, pid: int, user: str, service: str, remote_ip: str) -> int | None:
        """Enter a session; how many user+service+ip have now. None: the table is full, nothing was entered.

        An id the owner has already is replaced.
        """
        self.disconnect(owner, session_id)
        if self._total >= self._limit:
            return None
        session = _Session(pid, user, service, remote_ip)
        self._by_owner.setdefault(owner, {})[session_id] = session
        self._by_user.setdefault(user, Counter())[owner] += 1
        self._total += 1
        key = key_of(user, service, remote_ip)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = Counter()
        count[owner] += 1
        self._grown(owner, key)
        return sum(count.values())

    def disconnect(self, owner: int, session_id: str) -> bool:
        """Forget a session; False when the owner has none of that id."""
        sessions = self._by_owner.get(owner)
        session = sessions.pop(session_id, None) if sessions is not None else None
        if sessions is None or session is None:
            return False
        if not sessions:
            del self._by_owner[owner]
        self._forget(owner, session)
        return True

    def drop_owner(self, owner: int) -> int:
        """Forget all sessions of an owner that is gone, and what it was told; how many sessions there were."""
        sessions = self._by_owner.pop(owner, {})
        for session in sessions.values():
            self._forget(owner, session)
        for key in self._known.pop(owner, ()):
            self._forget_knower(owner, key)
        return len(sessions)

    def _forget(self, owner: int, session: _Session) -> None:
        self._total -= 1
        _decrement(self._by_user, session.user, owner)
        _decrement(self._counts, key_of(session.user, session.service, session.remote_ip), owner)

    def count(self, user: str, service: str, remote_ip: str) -> int:
        found = self._counts.get(key_of(user, service, remote_ip))
        return sum(found.values()) if found is not None else 0

    def owners(self, user: str, session_id: str = "") -> list[int]:
        """Who has sessions of ``user`` (with that id, when one is given)."""
        found = self._by_user.get(user, ())
        return [owner for owner in found if not session_id or session_id in self._by_owner[owner]]

    def rows(self) -> Iterator[SessionRow]:
        for sessions in self._by_owner.values():
            for session_id, session in sessions.items():
                yield SessionRow(session.pid, session.user, session.service, session.remote_ip, session_id)

    # ---- keeping workers informed

    def others(self, owner: int, key: Key) -> int:
        """How many sessions of ``key`` belong to other owners."""
        found = self._counts.get(key)
        return sum(found.values()) - found[owner] if found is not None else 0

    def inform(self, owner: int, key: Key) -> tuple[int, Key | None]:
        """A fresh bound for ``owner``, who is told when it is exceeded; and a key whose bound it must drop for that."""
        known = self._known.setdefault(owner, OrderedDict())
        bound = known[key] = self.others(owner, key) + SLACK
        known.move_to_end(key)
        self._knowers.setdefault(key, set()).add(owner)
        self._dirty.pop((owner, key), None)
        if len(known) <= MAX_KNOWN:
            return bound, None
        oldest, _ = known.popitem(last=False)
        self._forget_knower(owner, oldest)
        return bound, oldest

    def take_news(self) -> list[tuple[int, Key, int]]:
        """(owner, key, new bound) where one was exceeded since the last call."""
        news = []
        for owner, key in self._dirty:
            bound = self._known[owner][key] = self.others(owner, key) + SLACK
            news.append((owner, key, bound))
        self._dirty.clear()
        return news

    @property
    def has_news(self) -> bool:
        return bool(self._dirty)

    def _grown(self, by: int, key: Key) -> None:
        for owner in self._knowers.get(key, ()):
            if owner != by and self.others(owner, key) > self._known[owner][key]:
                self._dirty[owner, key] = None

    def _forget_knower(self, owner: int, key: Key) -> None:
        self._dirty.pop((owner, key), None)
        owners = self._knowers[key]
        owners.discard(owner)
        if not owners:
            del self._knowers[key]


def _decrement(table: dict[T, Counter[int]], key: T, owner: int) -> None:
    count = table[key]
    count[owner] -= 1
    if not count[owner]:
        del count[owner]
        if not count:
            del table[key]
