"""LIST: mailboxes by pattern, with what they are (RFC 9051 §6.3.9, LIST-EXTENDED: RFC 5258, LIST-STATUS: RFC 5819)."""

from __future__ import annotations

from roost.errors import RoostError
from roost.imap import replies
from roost.net.connection import ConnectionLost
from services.imap import listing, status_items
from services.imap.command import Command, State
from services.imap.session import Session

CHILD_INFO = b'("CHILDINFO" ("SUBSCRIBED"))'


async def run(session: Session, asked: listing.Listing) -> None:
    client = session.client
    if asked.only_separator:
        root = asked.reference.partition("/")[0] + "/" if "/" in asked.reference else ""
        client.write(replies.list_row(("\\Noselect",), root))
        return
    store = session.store
    every = await store.list_mailboxes()
    subscribed = await store.list_mailboxes(subscribed=True) if b"SUBSCRIBED" in asked.selection else ()
    if b"HIGHESTMODSEQ" in asked.status:
        session.enable_condstore()
    for row in listing.rows(asked, every, subscribed):
        info = row.info
        extended = CHILD_INFO if row.child_info else b""
        client.write(replies.list_row(row.attributes, info.name, separator=info.separator, extended=extended))
        if asked.status and info.selectable:
            await _write_status(session, info.name, asked.status)
        if client.due():
            await client.turn()


async def _write_status(session: Session, name: str, items: tuple[bytes, ...]) -> None:
    """A mailbox that cannot tell is listed without (RFC 5819 §2)."""
    try:
        status = await (await session.store.get_mailbox(name)).status()
    except ConnectionLost:
        raise
    except RoostError as exc:
        session.shared.complain(session.log, "debug", f"LIST-STATUS: {exc}")
        return
    session.client.write(status_items.row(name, items, status))


LIST = Command(b"LIST", State.LOGGED_IN, listing.parse, run, b"List completed.")
