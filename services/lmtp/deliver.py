"""From the recipients of a message to their replies: STEPS for each, several at once, answered in order.

A delivery never raises: whatever went wrong becomes that recipient's reply (``errors``) and one log line, in
Dovecot's form.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from roost.errors import Corrupt, RoostError, Unavailable
from roost.events.log import Log
from roost.settings.variables import expand
from roost.smtp.replies import REPLIES
from roost.storage.api import User
from roost.storage.upload import Upload
from services.lmtp.errors import error_wire
from services.lmtp.session import Recipient, Session, Transaction
from services.lmtp.spool import Spool
from services.lmtp.steps import STEPS
from services.lmtp.steps.received import trace_fields

AT_ONCE = 8  # deliveries of one message at a time; each holds at most one copy of it
DEFAULT_LOG_FORMAT = "msgid=%{msgid}: %{message}"

_SAVED = REPLIES["SAVED"]


@dataclass(slots=True)
class Delivery:
    """One recipient's share of a message, as the steps see it and fill it in."""

    session: Session
    transaction: Transaction
    recipient: Recipient
    spool: Spool
    only: bool  # no other recipient: ``spool.upload`` already begins with this one's trace fields
    user: User | None = None
    upload: Upload | None = None  # this recipient's copy
    mailbox: str = "INBOX"
    result: str = ""  # for the log
    script: Any = None  # what Hooks.begin gave


async def open_spool(session: Session, transaction: Transaction) -> None:
    """A place for the message that comes now. For an only recipient it begins with the trace fields, so that no octet
    is copied later. On failure the transaction is over. Raises what the store raises."""
    recipients = transaction.recipients
    try:
        for position, recipient in enumerate(recipients):
            try:
                user = recipient.user = await session.shared.backend.open_user(session.conn_info(), recipient.identity)
                upload = user.new_upload(transaction.size_octets)
                break
            except RoostError:
                if position == len(recipients) - 1:
                    raise
    except BaseException:
        await session.reset()
        raise
    only = len(recipients) == 1
    transaction.spool = Spool(upload, trace_fields(session, transaction, recipients[0], only=True) if only else b"")


async def deliver_all(session: Session, transaction: Transaction, write: Callable[[bytes], None]) -> None:
    """Deliver to every recipient; ``write`` gets one reply each, in order, as soon as it and those before are sure."""
    recipients = transaction.recipients
    if len(recipients) == 1:
        write(await deliver(session, transaction, recipients[0]))
        return
    running: deque[asyncio.Task[bytes]] = deque()
    try:
        for recipient in recipients:
            if len(running) >= AT_ONCE:
                write(await running.popleft())
            running.append(asyncio.create_task(deliver(session, transaction, recipient)))
        while running:
            write(await running.popleft())
    finally:
        for task in running:
            task.cancel()


async def deliver(session: Session, transaction: Transaction, recipient: Recipient) -> bytes:
    """Run STEPS for one recipient: the reply line, after its copy is durable or will never be."""
    spool = transaction.spool
    assert spool is not None
    delivery = Delivery(
        session, transaction, recipient, spool, only=len(transaction.recipients) == 1, user=recipient.user
    )
    recipient.user = None
    settings = session.shared.settings
    try:
        for step in STEPS:
            await step(delivery)
    except Exception as error:
        _log_failure(delivery, error)
        return error_wire(
            error,
            prefix=f"<{recipient.address.text}> ",
            verbose=settings.lmtp_verbose_replies,
            quota_tempfail=settings.quota_full_tempfail,
        )
    finally:
        if delivery.upload is not None:
            delivery.upload.close()
        if delivery.script is not None and (hooks := session.shared.hooks) is not None:
            await hooks.end(delivery.script)
        if delivery.user is not None:
            await delivery.user.logout()
    _log(delivery).info(log_text(delivery, delivery.result))
    return _SAVED.line(f"<{recipient.address.text}> {transaction.id} Saved")


def _log(delivery: Delivery) -> Log:
    shared = delivery.session.shared
    return shared.log.child(f"lmtp({delivery.recipient.identity.username})<{shared.pid}><{delivery.transaction.id}>: ")


def log_text(delivery: Delivery, message: str) -> str:
    """``deliver_log_format`` filled in."""
    spool = delivery.spool
    template = delivery.session.shared.settings.deliver_log_format
    if template == DEFAULT_LOG_FORMAT:
        return f"msgid={spool.message_id()}: {message}"
    variables = {
        "msgid": spool.message_id(),
        "message": message,
        "subject": spool.field(b"subject"),
        "from": spool.field(b"from"),
        "from_envelope": delivery.transaction.sender.text,
        "to_envelope": delivery.recipient.address.text,
        "size": str(spool.size_octets),
        "vsize": str(spool.size_octets),
        "user": delivery.recipient.identity.username,
        "session": delivery.transaction.id,
    }
    return expand(template, variables)


def _log_failure(delivery: Delivery, error: Exception) -> None:
    log = _log(delivery)
    text = log_text(delivery, f"save failed to {delivery.mailbox}: {error}")
    if not isinstance(error, RoostError):
        log.exception(text, exc=error)
    elif isinstance(error, Unavailable | Corrupt):
        log.error(text)
    else:
        log.info(text)
