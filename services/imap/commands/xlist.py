"""XLIST: Google's older form of special uses. Answered for Outlook 2013 and old phones, never advertised."""

from __future__ import annotations

from roost.imap import replies
from services.imap import listing
from services.imap.command import Command, State
from services.imap.commands import lsub
from services.imap.session import Session

_OLD_NAMES = {"\\Junk": "\\Spam", "\\Archive": "\\AllMail", "\\All": "\\AllMail", "\\Flagged": "\\Starred"}


async def run(session: Session, asked: listing.Listing) -> None:
    """As plain LIST, with ``\\Inbox``, and with Google's name beside ours where they differ."""
    if asked.only_separator:
        session.write(replies.list_row(("\\Noselect",), "", verb=b"XLIST"))
        return
    for row in listing.rows(asked, await session.store.list_mailboxes(), ()):
        attributes = [*row.attributes, *[_OLD_NAMES[a] for a in row.attributes if a in _OLD_NAMES]]
        if row.info.name == "INBOX":
            attributes.append("\\Inbox")
        session.write(replies.list_row(attributes, row.info.name, separator=row.info.separator, verb=b"XLIST"))


XLIST = Command(b"XLIST", State.LOGGED_IN, lsub.parse, run, b"Xlist completed.")
