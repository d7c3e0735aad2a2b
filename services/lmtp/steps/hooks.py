"""What else wants to know of a delivery before it happens: mail_lua, which may refuse the user, and last_login."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.lmtp.deliver import Delivery


async def run(delivery: Delivery) -> None:
    """Fills in ``script``. Raises Unavailable."""
    hooks = delivery.session.shared.hooks
    if hooks is not None:
        assert delivery.user is not None
        conn = delivery.session.conn_info()
        delivery.script = await hooks.begin(delivery.user, delivery.recipient.identity, conn)
