"""DATA: the message follows (RFC 5321 §4.1.1.4); without a valid recipient it is refused (RFC 2033 §4.2)."""

from __future__ import annotations

from roost.errors import Malformed
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command, Then
from services.lmtp.deliver import open_spool
from services.lmtp.session import Session, State

_GO_AHEAD = Answer(REPLIES["GO_AHEAD"].wire, Then.DATA)


async def run(session: Session, argument: bytes) -> Answer:
    if argument.strip():
        raise Malformed("DATA takes no argument", code="BAD_SYNTAX")
    transaction = session.transaction
    assert transaction is not None  # State.MAIL
    if not transaction.recipients:
        raise Malformed("No valid recipients", code="NO_RECIPIENTS")
    await open_spool(session, transaction)
    return _GO_AHEAD


DATA = Command(b"DATA", State.MAIL, run, "Issue MAIL first, and do not mix DATA with BDAT")
