"""UNSUBSCRIBE, also from names without a mailbox (RFC 9051 §6.3.8)."""

from __future__ import annotations

from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, name: str) -> None:
    await session.store.set_subscribed(session.checked_name(name), False)


UNSUBSCRIBE = Command(b"UNSUBSCRIBE", State.LOGGED_IN, mailboxes.parse_name, run, b"Unsubscribe completed.")
