"""STARTTLS (RFC 3207): what was pipelined after it is thrown away by the connection."""

from __future__ import annotations

from roost.errors import Malformed
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command, Then
from services.lmtp.session import Session, State


async def run(session: Session, argument: bytes) -> Answer:
    if argument.strip():
        raise Malformed("STARTTLS takes no argument", code="BAD_SYNTAX")
    if session.secured:
        raise Malformed("TLS is already active", code="BAD_SEQUENCE")
    if session.shared.tls_context() is None:
        raise Malformed("TLS is not available", code="NO_TLS")
    return Answer(REPLIES["READY_TLS"].wire, Then.TLS)


STARTTLS = Command(b"STARTTLS", State.NEW | State.READY, run, "STARTTLS is not allowed inside a transaction")
