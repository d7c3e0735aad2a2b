"""RENAME: children move along; renaming INBOX moves its messages (RFC 9051 §6.3.6)."""

from __future__ import annotations

from roost.imap.args import Args
from services.imap.command import Command, State
from services.imap.session import Session


def parse(args: Args) -> tuple[str, str]:
    args.space()
    existing = args.mailbox()
    args.space()
    new = args.mailbox()
    args.end()
    return existing, new


async def run(session: Session, names: tuple[str, str]) -> None:
    existing, new = names
    await session.store.rename_mailbox(session.checked_name(existing), session.checked_name(new))


RENAME = Command(b"RENAME", State.LOGGED_IN, parse, run, b"Rename completed.")
