"""CLOSE: expunge silently (not after EXAMINE) and leave the mailbox (RFC 9051 §6.4.1)."""

from __future__ import annotations

from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    view = session.selected
    if not view.read_only:
        result = await view.mailbox.expunge()
        session.counters.expunged += len(result.vanished)
    await session.leave_mailbox()


CLOSE = Command(b"CLOSE", State.SELECTED, None, run, b"Close completed.", sync=Sync.NOTHING)
