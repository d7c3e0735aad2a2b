"""SEARCH and UID SEARCH (RFC 9051 §6.4.4 without ESEARCH, RFC 3501 §6.4.4; MODSEQ: RFC 7162 §3.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from roost.errors import Malformed
from roost.imap import criteria, replies, search_keys
from roost.imap.args import Args
from roost.imap.seqset import SeqSet, resolve
from roost.util.ranges import Ranges
from services.imap.command import Command, State, Sync
from services.imap.session import Session


@dataclass(slots=True)
class ToSearch:
    """The keys are read in ``run``: how deep they may nest is a setting."""

    args: Args
    by_uid: bool


def parse(args: Args, *, by_uid: bool) -> ToSearch:
    args.space()
    return ToSearch(args, by_uid)


async def run(session: Session, asked: ToSearch) -> None:
    """Only messages this client has been told of are found."""
    program = search_keys.parse(asked.args, max_depth=session.shared.imap.imap_max_nesting)
    if program.return_options is not None:
        raise Malformed("Unknown argument RETURN")
    view = session.selected
    last = view.uids[view.count - 1] if view.count else 0

    def uids_of_seqs(wanted: SeqSet) -> Ranges:
        return view.uids_of(view.known_rows(wanted))

    def uids_of_uids(wanted: SeqSet) -> Ranges:
        return resolve(wanted, last)

    wanted = criteria.resolve(program.criteria, seqs=uids_of_seqs, uids=uids_of_uids, recent=view.recent)
    if program.uses_modseq:
        session.enable_condstore()
    result = await view.mailbox.search_messages(wanted, view.all_uids())
    numbers = result.uids if asked.by_uid else view.seqs(result.uids)
    session.write(replies.search_row(numbers, result.highest_modseq))


SEARCH = Command(b"SEARCH", State.SELECTED, partial(parse, by_uid=False), run, b"Search completed.", sync=Sync.KEEP)
UID_SEARCH = Command(b"UID SEARCH", State.SELECTED, partial(parse, by_uid=True), run, b"Search completed.", by_uid=True)
