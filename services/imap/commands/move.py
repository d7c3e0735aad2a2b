"""MOVE and UID MOVE (RFC 6851): COPYUID comes untagged before the EXPUNGEs (RFC 6851 §4.3)."""

from __future__ import annotations

from functools import partial

from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


async def run(session: Session, asked: mailboxes.ToCopy) -> bytes | None:
    view = session.selected
    mailboxes.check_writable(view)
    rows = view.uid_rows(asked.wanted) if asked.by_uid else view.rows(asked.wanted)
    if not rows:
        return mailboxes.NOTHING_FOUND
    result = await view.mailbox.move_messages(view.uids_of(rows), session.checked_name(asked.dest))
    if not result.source:
        return mailboxes.ALREADY_EXPUNGED
    session.counters.expunged += len(result.source)
    session.write(b"* OK [%b] Moved UIDs.\r\n" % mailboxes.copyuid(result))
    return None


MOVE = Command(
    b"MOVE", State.SELECTED, partial(mailboxes.parse_to_copy, by_uid=False), run, b"Move completed.", try_create=True
)
UID_MOVE = Command(
    b"UID MOVE",
    State.SELECTED,
    partial(mailboxes.parse_to_copy, by_uid=True),
    run,
    b"Move completed.",
    try_create=True,
    by_uid=True,
)
