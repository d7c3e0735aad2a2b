"""RCPT TO: one recipient; the userdb is asked now (RFC 5321 §4.1.1.3, RFC 2033 §4.2; ORCPT of RFC 3461).

An unknown user is refused here, for good; when the userdb cannot say, the sender is told to come back. The detail of
``user+detail`` is cut off before the question (recipient_delimiter).
"""

from __future__ import annotations

from roost.errors import Malformed, Refused
from roost.smtp import params
from roost.smtp.address import Address, format_mailbox, parse_path, split_detail
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Command
from services.lmtp.session import Recipient, Session, State

KNOWN = frozenset({"ORCPT"})  # not offered (that would be DSN), but what some senders give all the same

CROWDED = "Too many concurrent deliveries for user"
_OK = Answer(REPLIES["RECIPIENT_OK"].wire)


async def run(session: Session, argument: bytes) -> Answer:
    if argument[:3].upper() != b"TO:":
        raise Malformed("Expected RCPT TO:<address>", code="BAD_SYNTAX")
    settings = session.shared.settings
    workarounds = settings.lmtp_client_workarounds
    address, end = parse_path(
        argument,
        3,
        space_before="whitespace-before-path" in workarounds,
        without_brackets="mailbox-for-path" in workarounds,
    )
    if not address.local:
        raise Malformed("Invalid recipient address", code="BAD_ADDRESS")
    found = params.parse(argument[end:], KNOWN) if end < len(argument) else {}
    shown = _shown(address, found.get("ORCPT"), settings.lmtp_hdr_delivery_address)
    transaction = session.transaction
    assert transaction is not None  # State.MAIL
    if len(transaction.recipients) >= settings.lmtp_max_recipients:
        raise Refused("Too many recipients", code="TOO_MANY_RECIPIENTS")

    local, detail = split_detail(address.local, settings.recipient_delimiter)
    name = f"{local}@{address.domain}" if address.domain else local
    identity = await session.shared.users.user(name, session.conn_info())
    if identity is None:
        raise Refused(f"<{address.text}> User doesn't exist: {address.text}", code="NO_SUCH_USER")
    username = identity.username
    if username not in transaction.users:
        if not session.shared.enter(username):
            raise Refused(CROWDED, code="TOO_MANY_DELIVERIES")
        transaction.users.add(username)
        delivery = transaction.delivery(username)
        if await session.shared.crowded(username, delivery):
            if username in transaction.users:  # the transaction has not ended meanwhile
                transaction.users.discard(username)
                session.shared.leave(username, delivery)
            raise Refused(CROWDED, code="TOO_MANY_DELIVERIES")
    transaction.recipients.append(Recipient(address, identity, detail, shown))
    return _OK


def _shown(address: Address, orcpt: str | None, which: str) -> str:
    """What Delivered-To says (lmtp_hdr_delivery_address): the address given, its original form, or nothing."""
    if which == "none":
        return ""
    if which == "original" and orcpt is not None:
        kind, separator, xtext = orcpt.partition(";")
        if not separator:
            raise Malformed("Invalid ORCPT value", code="BAD_SYNTAX")
        original = params.decode_xtext(xtext)
        local, _, domain = original.rpartition("@")
        if kind.lower() == "rfc822" and local:
            return format_mailbox(local, domain)
    return address.text


RCPT = Command(b"RCPT", State.MAIL, run, "Issue MAIL first")
