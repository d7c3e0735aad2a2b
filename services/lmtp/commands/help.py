"""HELP: names the commands (RFC 5321 §4.1.1.8)."""

from __future__ import annotations

from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session

_HELP = Answer(REPLIES["HELP"].wire)


async def run(session: Session, argument: bytes) -> Answer:
    return _HELP


HELP = Command(b"HELP", ANY, run)
