"""BDAT: a part of the message, counted instead of scanned (RFC 3030 §2).

The octets of a chunk follow at once, so they must be read even if the command is refused; a size that cannot be
read leaves nobody knowing where commands go on, and ends the connection.
"""

from __future__ import annotations

import re

from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command, Then
from services.lmtp.deliver import open_spool
from services.lmtp.errors import error_wire
from services.lmtp.session import ANY, Session, State

_CHUNK = re.compile(rb"[ \t]*(\d{1,18})(?:[ \t]+(LAST))?[ \t]*", re.IGNORECASE)

_NO_SEQUENCE = REPLIES["BAD_SEQUENCE"].line("Issue MAIL first")


async def run(session: Session, argument: bytes) -> Answer:
    match = _CHUNK.fullmatch(argument)
    if match is None:
        return Answer(REPLIES["BAD_SYNTAX"].line("Invalid chunk size, closing"), Then.CLOSE)
    size_octets, last = int(match[1]), match[2] is not None
    transaction = session.transaction
    if transaction is None:
        session.errors += 1
        return Answer(_NO_SEQUENCE, Then.CHUNK, size_octets, last)
    if not transaction.recipients:
        session.errors += 1
        return Answer(REPLIES["NO_RECIPIENTS"].wire, Then.CHUNK, size_octets, last)
    if transaction.spool is None:
        try:
            await open_spool(session, transaction)
        except Exception as error:
            return Answer(error_wire(error), Then.CHUNK, size_octets, last)
        session.state = State.CHUNKS
    return Answer(b"", Then.CHUNK, size_octets, last)


BDAT = Command(b"BDAT", ANY, run)
