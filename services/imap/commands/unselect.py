"""UNSELECT: leave the mailbox without expunging (RFC 3691)."""

from __future__ import annotations

from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    await session.leave_mailbox()


UNSELECT = Command(b"UNSELECT", State.SELECTED, None, run, b"Unselect completed.", sync=Sync.NOTHING)
