"""NOOP: nothing, but the client hears what has happened (RFC 9051 §6.1.2)."""

from __future__ import annotations

from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    """The row's ``sync`` does it."""


NOOP = Command(b"NOOP", State.ANY, None, run, b"NOOP completed.", sync=Sync.ASKED)
