"""VRFY: never says whether a user exists; RCPT does that (RFC 5321 §3.5.3, §7.3)."""

from __future__ import annotations

from roost.errors import Malformed
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session

_CANNOT = Answer(REPLIES["CANNOT_VRFY"].wire)


async def run(session: Session, argument: bytes) -> Answer:
    if not argument.strip():
        raise Malformed("VRFY needs an address", code="BAD_SYNTAX")
    return _CANNOT


VRFY = Command(b"VRFY", ANY, run)
