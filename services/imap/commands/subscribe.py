"""SUBSCRIBE to a mailbox that exists (RFC 9051 §6.3.7)."""

from __future__ import annotations

from roost.errors import NoSuchMailbox
from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, name: str) -> None:
    name = session.checked_name(name)
    if not any(info.name == name for info in await session.store.list_mailboxes()):
        raise NoSuchMailbox(f"Mailbox doesn't exist: {name}")
    await session.store.set_subscribed(name, True)


SUBSCRIBE = Command(b"SUBSCRIBE", State.LOGGED_IN, mailboxes.parse_name, run, b"Subscribe completed.")
