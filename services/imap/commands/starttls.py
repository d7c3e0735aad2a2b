"""STARTTLS: TLS on a plain connection; what the client sent ahead is thrown away (RFC 9051 §6.2.1, CVE-2021-33515)."""

from __future__ import annotations

from roost.errors import Malformed
from services.imap.command import Command, State, Sync
from services.imap.session import Session


async def run(session: Session, _: None) -> None:
    if session.conn.secured:
        raise Malformed("TLS is already active.")
    if not session.shared.tls_ready:
        raise Malformed("TLS support isn't enabled.")


def begin(session: Session) -> None:
    session.client.begin_tls()


STARTTLS = Command(
    b"STARTTLS", State.NOT_AUTHENTICATED, None, run, b"Begin TLS negotiation now.", sync=Sync.NOTHING, after=begin
)
