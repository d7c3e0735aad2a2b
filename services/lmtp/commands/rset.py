"""RSET: forgets the transaction (RFC 5321 §4.1.1.5)."""

from __future__ import annotations

from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session

_OK = Answer(REPLIES["OK"].wire)


async def run(session: Session, argument: bytes) -> Answer:
    await session.reset()
    return _OK


RSET = Command(b"RSET", ANY, run)
