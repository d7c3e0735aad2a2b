"""The recipient's own copy: Return-Path, Delivered-To and Received, then the message (RFC 5321 §4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.smtp import trace

if TYPE_CHECKING:
    from services.lmtp.deliver import Delivery
    from services.lmtp.session import Recipient, Session, Transaction


async def run(delivery: Delivery) -> None:
    """Fills in ``user`` and ``upload``. Raises what the message or the store suffered."""
    spool = delivery.spool
    if spool.failure is not None:
        raise spool.failure
    session = delivery.session
    if delivery.only:
        delivery.upload = spool.upload
        return
    fields = trace_fields(session, delivery.transaction, delivery.recipient, only=False)
    user = delivery.user
    if user is None:
        user = await session.shared.backend.open_user(session.conn_info(), delivery.recipient.identity)
        delivery.user = user
    upload = delivery.upload = user.new_upload(len(fields) + spool.size_octets)
    upload.write(fields)
    if spool.in_memory:
        spool.copy_to(upload)
    else:
        await session.shared.in_thread(lambda: spool.copy_to(upload))


def trace_fields(session: Session, transaction: Transaction, recipient: Recipient, *, only: bool) -> bytes:
    """The fields that go before the message; Received names the recipient only when there is no other."""
    shared = session.shared
    return trace.fields(
        trace.Trace(
            sender=transaction.sender.text,
            recipient=recipient.shown,
            helo=session.helo,
            remote_ip=session.peer.remote_ip,
            hostname=shared.hostname,
            protocol="LMTPS" if session.secured else "LMTP",
            id=transaction.id,
            date=shared.date(),
            received=shared.settings.lmtp_add_received_header,
            name_recipient=only,
        )
    )
