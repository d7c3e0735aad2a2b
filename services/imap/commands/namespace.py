"""NAMESPACE: one personal namespace without a prefix (RFC 2342)."""

from __future__ import annotations

from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    session.write(b'* NAMESPACE (("" "/")) NIL NIL\r\n')


NAMESPACE = Command(b"NAMESPACE", State.LOGGED_IN, None, run, b"Namespace completed.")
