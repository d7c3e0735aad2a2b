"""DELETE (RFC 9051 §6.3.5). Deleting the selected mailbox leaves it first."""

from __future__ import annotations

from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, name: str) -> None:
    name = session.checked_name(name)
    view = session.view
    selected = view is not None and view.mailbox.name == name  # now: a mailbox that is gone only knows an old name
    await session.store.delete_mailbox(name)
    if selected:
        await session.leave_mailbox()


DELETE = Command(b"DELETE", State.LOGGED_IN, mailboxes.parse_name, run, b"Delete completed.")
