"""NOOP: keeps the connection alive (RFC 5321 §4.1.1.9)."""

from __future__ import annotations

from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session

_OK = Answer(REPLIES["OK"].wire)


async def run(session: Session, argument: bytes) -> Answer:
    return _OK


NOOP = Command(b"NOOP", ANY, run)
