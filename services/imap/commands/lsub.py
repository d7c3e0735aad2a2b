"""LSUB: subscribed names, special uses shown because Outlook 2013 takes them from here (RFC 3501 §6.3.9)."""

from __future__ import annotations

from roost.errors import Malformed
from roost.imap import replies
from roost.imap.args import Args
from services.imap import listing
from services.imap.command import Command, State
from services.imap.session import Session


def parse(args: Args) -> listing.Listing:
    """As LIST, but only the plain form."""
    asked = listing.parse(args)
    if asked.extended:
        raise Malformed("Invalid arguments.")
    return asked


async def run(session: Session, asked: listing.Listing) -> None:
    """With the workaround tb-lsub-flags a name that cannot be selected says so."""
    if asked.only_separator:
        session.write(replies.list_row(("\\Noselect",), "", verb=b"LSUB"))
        return
    subscribed = await session.store.list_mailboxes(subscribed=True)
    for info, parent_only in listing.subscribed_rows(asked, subscribed):
        attributes = listing.special_uses(info)
        if parent_only or (session.shared.lsub_flags and not info.selectable):
            attributes = ["\\Noselect"]
        session.write(replies.list_row(attributes, info.name, separator=info.separator, verb=b"LSUB"))


LSUB = Command(b"LSUB", State.LOGGED_IN, parse, run, b"Lsub completed.")
