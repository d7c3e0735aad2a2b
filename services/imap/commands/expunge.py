"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9; RFC 4315 §2.1)."""

from __future__ import annotations

from roost.imap.args import Args
from roost.imap.seqset import SeqSet
from services.imap import mailboxes
from services.imap.command import Command, State
from services.imap.session import Session


def parse_uids(args: Args) -> SeqSet:
    args.space()
    wanted = args.seqset()
    args.end()
    return wanted


async def run(session: Session, wanted: SeqSet | None) -> None:
    """Only messages this session has been told of go; the EXPUNGE replies come from the poll that follows."""
    view = session.selected
    mailboxes.check_writable(view)
    uids = view.all_uids() if wanted is None else view.uids_of(view.uid_rows(wanted))
    if uids:
        result = await view.mailbox.expunge(uids)
        session.counters.expunged += len(result.vanished)


EXPUNGE = Command(b"EXPUNGE", State.SELECTED, None, run, b"Expunge completed.")
UID_EXPUNGE = Command(b"UID EXPUNGE", State.SELECTED, parse_uids, run, b"Expunge completed.", by_uid=True)
