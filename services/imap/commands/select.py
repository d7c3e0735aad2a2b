"""SELECT: open a mailbox for reading and writing (RFC 9051 §6.3.2; CONDSTORE parameter: RFC 7162 §3.1.8)."""

from __future__ import annotations

from services.imap import mailboxes
from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, wanted: mailboxes.ToOpen) -> bytes:
    await mailboxes.open_view(session, wanted, read_only=False)
    if session.selected.read_only:
        return b"[READ-ONLY] Select completed."
    return b"[READ-WRITE] Select completed."


SELECT = Command(
    b"SELECT", State.LOGGED_IN, mailboxes.parse_to_open, run, b"[READ-WRITE] Select completed.", sync=Sync.NOTHING
)
