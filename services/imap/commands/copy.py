"""COPY and UID COPY (RFC 9051 §6.4.7, §6.4.9; COPYUID: RFC 4315 §3)."""

from __future__ import annotations

from functools import partial

from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, asked: mailboxes.ToCopy) -> bytes:
    """All or nothing. Messages expunged meanwhile by others are left out."""
    view = session.selected
    rows = view.uid_rows(asked.wanted) if asked.by_uid else view.rows(asked.wanted)
    if not rows:
        return mailboxes.NOTHING_FOUND
    result = await view.mailbox.copy_messages(view.uids_of(rows), session.checked_name(asked.dest))
    if not result.source:
        return mailboxes.ALREADY_EXPUNGED
    return b"[%b] Copy completed." % mailboxes.copyuid(result)


COPY = Command(
    b"COPY", State.SELECTED, partial(mailboxes.parse_to_copy, by_uid=False), run, b"Copy completed.", try_create=True
)
UID_COPY = Command(
    b"UID COPY",
    State.SELECTED,
    partial(mailboxes.parse_to_copy, by_uid=True),
    run,
    b"Copy completed.",
    try_create=True,
    by_uid=True,
)
