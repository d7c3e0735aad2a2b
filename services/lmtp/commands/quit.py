"""QUIT (RFC 5321 §4.1.1.10)."""

from __future__ import annotations

from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command, Then
from services.lmtp.session import ANY, Session

_BYE = Answer(REPLIES["BYE"].wire, Then.CLOSE)


async def run(session: Session, argument: bytes) -> Answer:
    await session.reset()
    return _BYE


QUIT = Command(b"QUIT", ANY, run)
