"""Catching up with a mailbox whose change log no longer reaches back to our cursor: a snapshot, compared. PURE."""

from __future__ import annotations

from contextlib import aclosing

from roost.storage.api import Changes, FetchRequest, Items, MailboxState
from roost.util.ranges import Ranges
from services.imap.selected import View


async def catch_up(view: View) -> Changes:
    """The changes between ``view`` and the mailbox as it is now, as if ``poll`` had told them.

    Flags are told of messages with a modseq above the view's. A mailbox whose UIDVALIDITY differs cannot be compared:
    the state says so.
    """
    mailbox = view.mailbox
    snapshot = await mailbox.select(read_only=view.read_only, claim_recent=not view.read_only)
    had = Ranges.of_sorted(view.uids[: view.count]) - view.gone
    has = Ranges.of_sorted(snapshot.uids[: snapshot.count])
    kept = had & has
    uids: list[int] = []
    flags: list[int] = []
    modseqs: list[int] = []
    same = snapshot.uidvalidity == view.uidvalidity
    if kept and same:
        request = FetchRequest(Items.FLAGS | Items.MODSEQ, changed_since=view.highest_modseq)
        async with aclosing(mailbox.list_messages(kept, request)) as batches:  # type: ignore[type-var]  # generators
            async for batch in batches:
                uids += batch.uids
                flags += batch.flags or ()
                modseqs += batch.modseqs or ()
    return Changes(
        cursor=snapshot.cursor,
        state=MailboxState.OK if same else MailboxState.UIDVALIDITY_CHANGED,
        uids=snapshot.uids,
        count=snapshot.count,
        uidnext=snapshot.uidnext,
        highest_modseq=snapshot.highest_modseq,
        keywords=snapshot.keywords,
        new=has - had,
        recent=snapshot.recent - had,
        vanished=had - has,
        changed_uids=uids,
        changed_flags=flags,
        changed_modseqs=modseqs,
    )
