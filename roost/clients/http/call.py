"""One request from its asking to its end, over all its attempts and redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.clients.http.exchange import Exchange, Failure
from roost.clients.http.message import TIMED_OUT, Request

if TYPE_CHECKING:
    from roost.clients.http.pool import Pool
    from roost.clients.http.settings import HttpSettings
    from roost.clients.http.url import Url


class Call:
    """What the next attempt asks. ``since`` and the times of sending are the loop's."""

    __slots__ = (
        "attempts",
        "body",
        "exchange",
        "first_sent",
        "last_sent",
        "late",
        "max_attempts",
        "method",
        "pool",
        "redirects",
        "request",
        "resends",
        "same_origin",
        "send_attempts",
        "since",
        "sync",
        "timeout_msecs",
        "url",
    )

    def __init__(self, request: Request, url: Url, settings: HttpSettings, now: float) -> None:
        self.request = request
        self.url = url
        self.method = request.method
        self.body = request.body
        self.sync = request.sync
        self.since = now
        self.max_attempts = settings.attempts_for(request.method)
        self.timeout_msecs = settings.timeout_for(request.method)
        self.attempts = self.redirects = self.resends = self.send_attempts = 0
        self.first_sent = self.last_sent = 0.0
        self.same_origin = True
        self.late = False
        self.exchange: Exchange | None = None
        self.pool: Pool | None = None

    @property
    def label(self) -> str:
        """For log lines: without userinfo and without the query, which may hold secrets."""
        return f"[{self.method} {self.url.origin}{self.url.target.partition('?')[0]}]"

    def next_attempt(self) -> bool:
        """Count one more attempt; False when there is none left."""
        if self.attempts + 1 >= self.max_attempts:
            return False
        self.attempts += 1
        return True

    def redirect(self, url: Url, *, drop_body: bool) -> None:
        """Ask there from now on."""
        self.redirects += 1
        if url.origin != self.url.origin:
            self.same_origin = False
        self.url = url
        if drop_body and self.method not in ("GET", "HEAD"):
            self.method = "GET"
            self.body = None

    def sent(self, at: float) -> None:
        if at == self.last_sent:
            return
        self.send_attempts += 1
        self.first_sent = self.first_sent or at
        self.last_sent = at

    def too_late(self, now: float) -> Failure:
        """The whole request took longer than it may."""
        text = f"Request queued {now - self.since:.3f} secs ago"
        if self.attempts:
            text += f", {self.attempts} times retried"
        if not self.send_attempts:
            text += ", not yet sent"
        else:
            text += f", {self.send_attempts} send attempts in {now - self.first_sent:.3f} secs"
            if self.send_attempts > 1:
                text += f", {now - self.last_sent:.3f} in last attempt"
        return Failure(TIMED_OUT, f"Absolute request timeout expired ({text})")
