"""One attempt of one request: what is sent, and how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roost.net.http.response import Reply

if TYPE_CHECKING:
    from roost.clients.http.connection import HttpConnection


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer. ``again``: another attempt may do better; ``untouched``: a connection kept alive was already dead."""

    status: int
    reason: str
    again: bool = False
    untouched: bool = False


class Exchange:
    """``done`` gets a Reply or a Failure, once. ``hold``: the body waits for 100-continue."""

    __slots__ = (
        "body",
        "connection",
        "done",
        "dropped",
        "head",
        "hold",
        "method",
        "reused",
        "sent_at",
        "timeout_msecs",
    )

    def __init__(
        self,
        method: bytes,
        head: bytes,
        body: bytes,
        timeout_msecs: int,
        done: asyncio.Future[Reply | Failure],
        *,
        hold: bool,
    ) -> None:
        self.method, self.head, self.body, self.timeout_msecs, self.done = method, head, body, timeout_msecs, done
        self.hold = hold
        self.connection: HttpConnection | None = None
        self.dropped = False  # nobody waits any more
        self.reused = False
        self.sent_at = 0.0

    def end(self, outcome: Reply | Failure) -> None:
        if not self.done.done():
            self.done.set_result(outcome)

    def drop(self) -> None:
        """Nobody waits: leave the queue, or end the connection it is on."""
        self.dropped = True
        if self.connection is not None:
            self.connection.abandon()
