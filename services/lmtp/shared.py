"""What all connections of one lmtp process share: settings, the store, the userdb, counters."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from roost.events.log import Log
from roost.settings.schema.lmtp import LmtpSettings
from roost.smtp import trace
from roost.storage.api import Backend, ConnInfo, Identity, User

COMPLAINT_SECS = 10.0
MAX_COMPLAINTS = 1000
SERVICE = "lmtp"  # in anvil's table


class Counter(Protocol):
    """The methods of ``roost.clients.anvil.Anvil`` this room uses."""

    async def connect(
        self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
    ) -> int: ...

    def disconnect(self, session_id: str) -> None: ...


class UserLookup(Protocol):
    """The one method of ``roost.clients.auth.AuthClient`` this room uses."""

    async def user(self, name: str, conn: ConnInfo) -> Identity | None: ...


class Hooks(Protocol):
    """The part of ``roost.clients.mail_hooks.MailHooks`` that deliveries use."""

    async def begin(self, user: User, identity: Identity, conn: ConnInfo) -> Any: ...

    async def end(self, script: Any) -> None: ...

    async def close(self) -> None: ...


def no_tls() -> ssl.SSLContext | None:
    """For a process without a certificate: STARTTLS is not offered."""
    return None


def run_here(fn: Callable[[], None]) -> Awaitable[None]:
    """Instead of a thread pool, where there is none (tests)."""

    async def run() -> None:
        fn()

    return run()


@dataclass(slots=True)
class Shared:
    """``max_message_octets`` None: no limit. ``now``: UTC seconds. ``new_id``: a fresh session id."""

    settings: LmtpSettings
    backend: Backend
    users: UserLookup
    log: Log
    hostname: str
    pid: int
    now: Callable[[], float]
    new_id: Callable[[], str]
    max_message_octets: int | None = None
    tls_context: Callable[[], ssl.SSLContext | None] = no_tls
    in_thread: Callable[[Callable[[], None]], Awaitable[None]] = run_here
    hooks: Hooks | None = None  # None: nothing is configured that wants to know of users
    anvil: Counter | None = None
    deliveries: dict[str, int] = field(default_factory=dict)  # open recipients by user (lmtp_user_concurrency_limit)
    _date: tuple[int, str] = (-1, "")
    _complaints: dict[str, float] = field(default_factory=dict)  # text → when it may be repeated

    def date(self) -> str:
        """Now, in the form of header fields; formed at most once a second."""
        secs = int(self.now())
        if self._date[0] != secs:
            self._date = (secs, trace.date_time(secs))
        return self._date[1]

    def complain(self, session_id: str, text: str) -> None:
        """Log an error; the same text at most once in COMPLAINT_SECS, whichever client meets it."""
        now = self.now()
        if now < self._complaints.get(text, 0.0):
            return
        if len(self._complaints) >= MAX_COMPLAINTS:
            self._complaints.clear()
        self._complaints[text] = now + COMPLAINT_SECS
        self.log.error(f"<{session_id}>: {text}")

    def enter(self, username: str) -> bool:
        """Count one more recipient that is ``username``; False above lmtp_user_concurrency_limit (then not counted)."""
        open_now = self.deliveries.get(username, 0)
        limit = self.settings.lmtp_user_concurrency_limit
        if limit and open_now >= limit:
            return False
        self.deliveries[username] = open_now + 1
        return True

    async def crowded(self, username: str, delivery: str) -> bool:
        """Announce to anvil what was just entered; whether all processes together are above the limit by it.

        That is asked only when this process has another delivery to the user already: most users have one at a time,
        and so the limit may be exceeded by one a process.
        """
        if self.anvil is None:
            return False
        limit = self.settings.lmtp_user_concurrency_limit if self.deliveries.get(username, 0) > 1 else 0
        count = await self.anvil.connect(delivery, username, SERVICE, "", limit=limit)
        return bool(limit) and count > limit

    def leave(self, username: str, delivery: str) -> None:
        """What ``enter`` counted is over."""
        if self.anvil is not None:
            self.anvil.disconnect(delivery)
        left = self.deliveries.get(username, 0) - 1
        if left > 0:
            self.deliveries[username] = left
        else:
            self.deliveries.pop(username, None)
