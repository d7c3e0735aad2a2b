"""CREATE, with the special use a new mailbox shall have (RFC 9051 §6.3.4, CREATE-SPECIAL-USE: RFC 6154 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roost.errors import Malformed, Refused
from roost.imap.args import Args
from roost.imap.mailbox_name import SEPARATOR
from services.imap.command import Command, State
from services.imap.session import Session

SPECIAL_USES: Final = {
    use.lower(): use for use in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}


@dataclass(frozen=True, slots=True)
class ToCreate:
    name: str
    special_use: tuple[bytes, ...] = ()


def parse(args: Args) -> ToCreate:
    """``SP mailbox [SP "(" "USE" SP "(" [use-attr …] ")" ")"]``."""
    args.space()
    name = args.mailbox()
    uses: list[bytes] = []
    if not args.at_end():
        args.space()
        args.open_list()
        if args.keyword() != b"USE":
            raise Malformed("Unknown CREATE parameter")
        args.space()
        args.open_list()
        while not args.close_list():
            args.expect(b"\\")
            uses.append(b"\\" + args.atom())
        if not args.close_list():
            raise Malformed("Unknown CREATE parameter")
        args.end()
    return ToCreate(name, tuple(uses))


async def run(session: Session, wanted: ToCreate) -> None:
    """A trailing separator only says that children will follow; the mailbox is made without it."""
    uses = []
    for use in wanted.special_use:
        known = SPECIAL_USES.get(use.decode("ascii", "replace").lower())
        if known is None:
            raise Refused("Unknown special use.", code="USEATTR")
        uses.append(known)
    name = wanted.name
    if name.endswith(SEPARATOR) and len(name) > 1:
        name = name[:-1]
    await session.store.create_mailbox(name, special_use=uses)


CREATE = Command(b"CREATE", State.LOGGED_IN, parse, run, b"Create completed.")
