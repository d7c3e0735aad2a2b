"""LOGOUT: BYE, and the end of the connection (RFC 9051 §6.1.3)."""

from __future__ import annotations

from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    session.client.write(b"* BYE Logging out\r\n")


def close(session: Session) -> None:
    session.end("Logged out" if session.user is not None else "Aborted login by logging out")


LOGOUT = Command(b"LOGOUT", State.ANY, None, run, b"Logout completed.", sync=Sync.NOTHING, after=close)
