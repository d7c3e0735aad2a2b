"""ID: product names in both directions (RFC 2971). What the client says is never acted upon (RFC 2971 §2)."""

from __future__ import annotations

from typing import Final

from roost.errors import Malformed
from roost.imap import replies
from roost.imap.args import Args
from services.imap.command import Command, State
from services.imap.session import Session

MAX_PAIRS: Final = 30
MAX_FIELD_OCTETS: Final = 30
MAX_VALUE_OCTETS: Final = 1024

Pairs = list[tuple[bytes, bytes | None]]


def parse(args: Args) -> Pairs:
    """``SP ("(" [string SP nstring …] ")" / "NIL")``."""
    pairs: Pairs = []
    args.space()
    if args.next_is(b"("):
        while not args.close_list():
            field = args.string()
            args.space()
            value = args.nstring()
            if len(pairs) == MAX_PAIRS or len(field) > MAX_FIELD_OCTETS or len(value or b"") > MAX_VALUE_OCTETS:
                raise Malformed("Too long ID list.")
            pairs.append((field, value))
    elif args.nstring() is not None:
        raise Malformed("Invalid arguments.")
    args.end()
    return pairs


async def run(session: Session, pairs: Pairs) -> None:
    if pairs and session.log.debugging:
        session.log.debug("Client ID: " + ", ".join(f"{f.decode('utf-8', 'replace')}={v!r}" for f, v in pairs))
    ours = session.shared.imap.imap_id_send
    if not ours:
        session.write(b"* ID NIL\r\n")
        return
    words = [replies.string(text.encode()) for pair in ours.items() for text in pair]
    session.write(b"* ID (%b)\r\n" % b" ".join(words))


ID = Command(b"ID", State.ANY, parse, run, b"ID completed.")
