"""EXAMINE: open a mailbox for reading; nothing in it changes by that, not even \\Recent (RFC 9051 §6.3.3)."""

from __future__ import annotations

from services.imap import mailboxes
from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, wanted: mailboxes.ToOpen) -> None:
    await mailboxes.open_view(session, wanted, read_only=True)


EXAMINE = Command(
    b"EXAMINE", State.LOGGED_IN, mailboxes.parse_to_open, run, b"[READ-ONLY] Examine completed.", sync=Sync.NOTHING
)
