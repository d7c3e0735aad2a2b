"""EHLO and HELO: an LMTP server must not take them (RFC 2033 §4.1)."""

from __future__ import annotations

from roost.errors import Malformed
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session


async def run(session: Session, argument: bytes) -> Answer:
    raise Malformed("This is LMTP, use LHLO", code="USE_LHLO")


EHLO = Command(b"EHLO", ANY, run)
HELO = Command(b"HELO", ANY, run)
