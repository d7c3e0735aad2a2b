"""The \\Seen that fetching a body sets (RFC 9051 §6.4.5)."""

from __future__ import annotations

from collections.abc import Collection

from roost.errors import RoostError
from roost.storage.api import SEEN, Flags, FlagsOp, MessageBatch
from roost.util.ranges import Ranges
from services.imap.session import Session

_SEEN = Flags(SEEN)


async def mark_seen(session: Session, batch: MessageBatch) -> Collection[int]:
    """Set \\Seen on the messages of ``batch`` that lack it and put their new flags into it; returns their UIDs.

    A store that refuses (full disk, read-only) does not keep the client from reading.
    """
    flags = batch.flags or ()
    unseen = [uid for uid, mask in zip(batch.uids, flags, strict=True) if not mask & SEEN]
    if not unseen:
        return ()
    view = session.selected
    try:
        result = await view.mailbox.update_messages_flags(Ranges.of_sorted(unseen), FlagsOp.ADD, _SEEN)
    except RoostError as exc:
        session.shared.complain(session.log, "warning", f"cannot set \\Seen: {exc}")
        return ()
    view.made(result)
    new = dict(zip(result.changed_uids, result.changed_flags, strict=True))
    batch.flags = [new.get(uid, mask) for uid, mask in zip(batch.uids, flags, strict=True)]
    if batch.modseqs is not None:
        pairs = zip(batch.uids, batch.modseqs, strict=True)
        batch.modseqs = [result.modseq if uid in new else modseq for uid, modseq in pairs]
    return new.keys()
