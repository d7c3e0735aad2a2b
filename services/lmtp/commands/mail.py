"""MAIL FROM: begins a transaction (RFC 5321 §4.1.1.2; SIZE of RFC 1870, BODY of RFC 6152, SMTPUTF8 of RFC 6531)."""

from __future__ import annotations

from roost.errors import Malformed, TooBig
from roost.smtp import params
from roost.smtp.address import NULL, parse_path
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command, Then
from services.lmtp.session import Session, State

KNOWN = frozenset({"SIZE", "BODY", "SMTPUTF8"})
BODIES = frozenset({"7BIT", "8BITMIME"})

_OK = Answer(REPLIES["SENDER_OK"].wire)
_SHUTTING_DOWN = Answer(REPLIES["SHUTTING_DOWN"].wire, Then.CLOSE)


async def run(session: Session, argument: bytes) -> Answer:
    if argument[:5].upper() != b"FROM:":
        raise Malformed("Expected MAIL FROM:<address>", code="BAD_SYNTAX")
    workarounds = session.shared.settings.lmtp_client_workarounds
    try:
        sender, end = parse_path(
            argument,
            5,
            space_before="whitespace-before-path" in workarounds,
            without_brackets="mailbox-for-path" in workarounds,
        )
    except Malformed as error:
        raise Malformed(error.client_text, code="BAD_SENDER") from None
    if sender is not NULL and not sender.local and not sender.domain:
        raise Malformed("Invalid sender address", code="BAD_SENDER")
    size_octets = 0
    if end < len(argument):
        found = params.parse(argument[end:], KNOWN)
        size_octets = _check(found, session.shared.max_message_octets)
    if session.draining:
        return _SHUTTING_DOWN
    session.begin(sender).size_octets = size_octets
    return _OK


def _check(found: dict[str, str | None], limit: int | None) -> int:
    """The announced size. Raises Malformed, TooBig."""
    if "BODY" in found and (found["BODY"] or "").upper() not in BODIES:
        raise Malformed("Unsupported BODY value", code="BAD_SYNTAX")
    if found.get("SMTPUTF8") is not None:
        raise Malformed("SMTPUTF8 takes no value", code="BAD_SYNTAX")
    if "SIZE" not in found:
        return 0
    size_octets = params.size_value(found["SIZE"])
    if limit is not None and size_octets > limit:
        raise TooBig(f"Message exceeds the maximum size of {limit} octets")
    return size_octets


MAIL = Command(b"MAIL", State.READY, run, "Issue LHLO first, and only one MAIL")
