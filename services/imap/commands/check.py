"""CHECK: housekeeping, and what NOOP does (RFC 3501 §6.4.1)."""

from __future__ import annotations

from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    await session.selected.mailbox.check()


CHECK = Command(b"CHECK", State.SELECTED, None, run, b"Check completed.", sync=Sync.ASKED)
