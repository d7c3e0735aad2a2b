"""What several commands do with mailboxes: names as arguments, opening a view."""

from __future__ import annotations

from dataclasses import dataclass

from roost.errors import Malformed, ReadOnly
from roost.imap.args import Args
from roost.imap.seqset import SeqSet
from roost.storage.api import CopyResult
from services.imap.selected import View
from services.imap.session import Session

NOTHING_FOUND = b"No messages found."
ALREADY_EXPUNGED = b"[EXPUNGEISSUED] Messages were already expunged."
SELECTED_STATE = 4  # command.State.SELECTED


@dataclass(frozen=True, slots=True)
class ToOpen:
    """The arguments of SELECT and EXAMINE."""

    name: str
    condstore: bool = False


def parse_name(args: Args) -> str:
    """One mailbox name and nothing more."""
    args.space()
    name = args.mailbox()
    args.end()
    return name


def parse_to_open(args: Args) -> ToOpen:
    """``SP mailbox [SP "(" select-param … ")"]``."""
    args.space()
    name = args.mailbox()
    condstore = False
    if args.pos < len(args.raw) and not args.at_end():
        args.space()
        args.open_list()
        while not args.close_list():
            if args.keyword() != b"CONDSTORE":
                raise Malformed("Unknown SELECT parameter")
            condstore = True
        args.end()
    return ToOpen(name, condstore)


@dataclass(slots=True)
class ToCopy:
    """The arguments of COPY and MOVE."""

    wanted: SeqSet
    by_uid: bool
    dest: str


def parse_to_copy(args: Args, *, by_uid: bool) -> ToCopy:
    """``SP sequence-set SP mailbox``."""
    args.space()
    wanted = args.seqset()
    args.space()
    dest = args.mailbox()
    args.end()
    return ToCopy(wanted, by_uid, dest)


def copyuid(result: CopyResult) -> bytes:
    """The response code of COPY and MOVE (RFC 4315 §3)."""
    return b"COPYUID %d %b %b" % (result.uidvalidity, result.source.format(), result.dest.format())


def check_writable(view: View) -> None:
    """Raises ReadOnly after EXAMINE."""
    if view.read_only:
        raise ReadOnly("Mailbox is read-only.")


async def open_view(session: Session, wanted: ToOpen, *, read_only: bool) -> None:
    """Leave the mailbox selected before, open ``wanted`` and say what is in it. Raises NoSuchMailbox."""
    if session.view is not None:
        await session.leave_mailbox()
        session.write(b"* OK [CLOSED] Previous mailbox closed.\r\n")
    mailbox = await session.mailbox(wanted.name)
    snapshot = await mailbox.select(read_only=read_only, claim_recent=not read_only)
    view = View(mailbox, snapshot)
    session.view = view
    session.state = SELECTED_STATE
    if wanted.condstore and session.shared.backend.features.condstore:
        session.condstore = True
    unseen = b""
    if snapshot.first_unseen_uid is not None:
        unseen = b"* OK [UNSEEN %d] First unseen.\r\n" % view.seqs((snapshot.first_unseen_uid,))[0]
    modseq = b"* OK [NOMODSEQ] No permanent modsequences\r\n"
    if session.shared.backend.features.condstore:
        modseq = b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % snapshot.highest_modseq
    session.write(
        b"%b* %d EXISTS\r\n* %d RECENT\r\n%b"
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n* OK [UIDNEXT %d] Predicted next UID\r\n%b"
        % (view.flags_reply(), view.count, view.told_recent, unseen, snapshot.uidvalidity, snapshot.uidnext, modseq)
    )
