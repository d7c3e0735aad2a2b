"""STATUS of a mailbox, which it does not change (RFC 9051 §6.3.11)."""

from __future__ import annotations

from dataclasses import dataclass

from roost.imap.args import Args
from services.imap import status_items
from services.imap.command import Command, State
from services.imap.session import Session


@dataclass(slots=True)
class ToTell:
    name: str
    items: tuple[bytes, ...]


def parse(args: Args) -> ToTell:
    args.space()
    name = args.mailbox()
    args.space()
    items = status_items.parse(args)
    args.end()
    return ToTell(name, items)


async def run(session: Session, asked: ToTell) -> None:
    """Asking for HIGHESTMODSEQ switches CONDSTORE on (RFC 7162 §3.1)."""
    mailbox = await session.mailbox(asked.name)
    if b"HIGHESTMODSEQ" in asked.items:
        session.enable_condstore()
    status = await mailbox.status()
    session.write(status_items.row(session.checked_name(asked.name), asked.items, status))


STATUS = Command(b"STATUS", State.LOGGED_IN, parse, run, b"Status completed.")
