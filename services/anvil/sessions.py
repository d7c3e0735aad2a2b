"""PURE. The table of sessions: by owner (a worker's connection), by user, and counted by user, service and address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from roost.ipc.anvil import SessionRow, base_service


@dataclass(frozen=True, slots=True)
class _Session:
    pid: int
    user: str
    service: str
    remote_ip: str

    @property
    def counted_as(self) -> tuple[str, str, str]:
        return self.user, base_service(self.service), self.remote_ip


class Sessions:
    """At most ``limit`` sessions in all. Owners are numbers that the caller gives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._by_owner: dict[int, dict[str, _Session]] = {}  # owner → session id → session
        self._by_user: dict[str, Counter[int]] = {}  # user → owner → how many there
        self._counts: Counter[tuple[str, str, str]] = Counter()

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
        self._counts[session.counted_as] += 1
        self._total += 1
        return self._counts[session.counted_as]

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
        """Forget all sessions of an owner that is gone; how many there were."""
        sessions = self._by_owner.pop(owner, {})
        for session in sessions.values():
            self._forget(owner, session)
        return len(sessions)

    def _forget(self, owner: int, session: _Session) -> None:
        self._total -= 1
        owners = self._by_user[session.user]
        owners[owner] -= 1
        if not owners[owner]:
            del owners[owner]
            if not owners:
                del self._by_user[session.user]
        key = session.counted_as
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def count(self, user: str, service: str, remote_ip: str) -> int:
        return self._counts.get((user, base_service(service), remote_ip), 0)

    def owners(self, user: str, session_id: str = "") -> list[int]:
        """Who has sessions of ``user`` (with that id, when one is given)."""
        found = self._by_user.get(user, ())
        return [owner for owner in found if not session_id or session_id in self._by_owner[owner]]

    def rows(self) -> Iterator[SessionRow]:
        for sessions in self._by_owner.values():
            for session_id, session in sessions.items():
                yield SessionRow(session.pid, session.user, session.service, session.remote_ip, session_id)
