"""STORE and UID STORE (RFC 9051 §6.4.6, §6.4.9; UNCHANGEDSINCE: RFC 7162 §3.1.3).

Only messages whose flags really changed are reported, as Dovecot does. With CONDSTORE on, a silent STORE still tells
the new modseqs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import NamedTuple

from roost.errors import Malformed
from roost.imap.args import Args
from roost.imap.assembler import Complete
from roost.imap.seqset import SeqSet
from roost.storage.api import DELETED, Flags, FlagsOp, StoreResult
from roost.util.ranges import Ranges
from services.imap import mailboxes
from services.imap.command import Command, State, Sync
from services.imap.selected import CHUNK_ROWS
from services.imap.session import Session

_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= |\Z)", re.IGNORECASE)
REMOVE = FlagsOp.REMOVE
_OPS = {b"": FlagsOp.SET, b"+": FlagsOp.ADD, b"-": REMOVE}


_LONGEST_REMEMBERED_OCTETS = 200


class Change(NamedTuple):
    """What is to become of the flags: everything after the message set."""

    op: FlagsOp
    silent: bool
    flags: Flags
    unchanged_since: int | None


class ToStore(NamedTuple):
    wanted: SeqSet
    by_uid: bool
    change: Change


def parse(args: Args, *, by_uid: bool) -> ToStore:
    """``SP sequence-set [SP "(" "UNCHANGEDSINCE" SP modseq ")"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags``."""
    args.space()
    wanted = args.seqset()
    args.space()
    if not args.literals and len(args.raw) - args.pos <= _LONGEST_REMEMBERED_OCTETS:
        return ToStore(wanted, by_uid, _remembered(args.raw[args.pos :]))
    return ToStore(wanted, by_uid, _change(args))


@lru_cache(maxsize=512)
def _remembered(text: bytes) -> Change:
    """Clients repeat themselves."""
    return _change(Args(Complete(text)))


def _change(args: Args) -> Change:
    unchanged_since = None
    if args.next_is(b"("):
        args.skip_spaces()
        if args.keyword() != b"UNCHANGEDSINCE":
            raise Malformed("Unknown STORE modifier")
        args.space()
        unchanged_since = args.number64()
        args.skip_spaces()
        args.expect(b")")
        args.space()
    match = args.match(_ITEM)
    if match is None:
        raise Malformed("Invalid arguments.")
    args.space()
    flags = Flags(*args.flag_list())
    args.end()
    return Change(_OPS[match[1]], match[2] is not None, flags, unchanged_since)


async def run(session: Session, asked: ToStore) -> bytes | None:
    view = session.selected
    op, silent, flags, unchanged_since = asked.change
    mailboxes.check_writable(view)
    rows = view.uid_rows(asked.wanted) if asked.by_uid else view.rows(asked.wanted)
    if unchanged_since is not None:
        session.enable_condstore()
    if not rows:
        return None
    result = await view.mailbox.update_messages_flags(view.uids_of(rows), op, flags, unchanged_since=unchanged_since)
    view.made(result)
    if flags.system & DELETED and op is not REMOVE:
        session.counters.deleted += len(result.changed_uids)
    if len(result.keywords) > len(view.keywords):
        session.write(view.learn_keywords(result.keywords))
    uids = result.changed_uids
    if uids and (not silent or session.condstore):
        if len(uids) == 1 and not session.condstore:
            session.client.write(view.flag_row(uids[0], result.changed_flags[0], by_uid=asked.by_uid))
        else:
            await _tell(session, asked, result)
    if result.conflicts:
        numbers = result.conflicts if asked.by_uid else Ranges.of_sorted(view.seqs(list(result.conflicts)))
        return b"[MODIFIED %b] Conditional store failed." % numbers.format()
    if result.missing and not asked.by_uid:
        return b"[EXPUNGEISSUED] Some messages were already expunged."
    return None


async def _tell(session: Session, asked: ToStore, result: StoreResult) -> None:
    """FETCH replies of what changed; the modseq alone if the client asked for silence."""
    view, client = session.selected, session.client
    uids = result.changed_uids
    if not asked.change.silent:
        modseqs = [result.modseq] * len(uids) if session.condstore else None
        chunks = view.flag_rows(uids, result.changed_flags, by_uid=asked.by_uid, modseqs=modseqs)
    else:
        row = b"* %%d FETCH (%bMODSEQ (%d))\r\n" % (b"UID %d " if asked.by_uid else b"", result.modseq)
        chunks = (_rows(row, view.seqs(some), some if asked.by_uid else None) for some in _chunks(uids))
    for chunk in chunks:
        client.write(chunk)
        if client.due():
            await client.turn()


def _chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (uids[start : start + CHUNK_ROWS] for start in range(0, len(uids), CHUNK_ROWS))


def _rows(row: bytes, seqs: Sequence[int], uids: Sequence[int] | None) -> bytes:
    if uids is None:
        return row * len(seqs) % tuple(seqs)
    return row * len(seqs) % tuple(chain.from_iterable(zip(seqs, uids, strict=True)))


STORE = Command(b"STORE", State.SELECTED, partial(parse, by_uid=False), run, b"Store completed.", sync=Sync.KEEP)
UID_STORE = Command(b"UID STORE", State.SELECTED, partial(parse, by_uid=True), run, b"Store completed.", by_uid=True)
