"""Into the mailbox: INBOX, or the detail's mailbox (lmtp_save_to_detail_mailbox). Durable on return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.errors import InvalidName, LimitExceeded, MailboxAlreadyExists, NoSuchMailbox
from roost.storage.api import Mailbox, NewMessage, User

if TYPE_CHECKING:
    from services.lmtp.deliver import Delivery

INBOX = "INBOX"


async def run(delivery: Delivery) -> None:
    """Fills in ``mailbox`` and ``result``. Raises what the store raises."""
    user, upload = delivery.user, delivery.upload
    assert user is not None
    assert upload is not None
    detail = delivery.recipient.detail
    if detail and delivery.session.shared.settings.lmtp_save_to_detail_mailbox:
        mailbox = await _detail_mailbox(delivery, user, detail)
    else:
        mailbox = await user.get_mailbox(INBOX)
    try:
        delivery.mailbox = mailbox.name
        await mailbox.create_messages((NewMessage(upload),))
    finally:
        await mailbox.aclose()
    delivery.result = f"saved mail to {delivery.mailbox}"


async def _detail_mailbox(delivery: Delivery, user: User, name: str) -> Mailbox:
    """The mailbox ``name``; made if lda_mailbox_autocreate says so; INBOX when there is and can be none."""
    settings = delivery.session.shared.settings
    try:
        return await user.get_mailbox(name)
    except (NoSuchMailbox, InvalidName):
        if not settings.lda_mailbox_autocreate:
            return await user.get_mailbox(INBOX)
    try:
        info = await user.create_mailbox(name)
        if settings.lda_mailbox_autosubscribe:
            await user.set_subscribed(info.name, True)
    except MailboxAlreadyExists:
        pass  # another delivery was quicker
    except (InvalidName, LimitExceeded):
        return await user.get_mailbox(INBOX)
    try:
        return await user.get_mailbox(name)
    except NoSuchMailbox:  # a name that cannot hold mail
        return await user.get_mailbox(INBOX)
