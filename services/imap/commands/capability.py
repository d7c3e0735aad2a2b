"""CAPABILITY: what this server can do on this connection now (RFC 9051 §6.1.1)."""

from __future__ import annotations

from roost.imap import replies
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    session.write(replies.capability(session.capability_text()))


CAPABILITY = Command(b"CAPABILITY", State.ANY, None, run, b"Capability completed.")
