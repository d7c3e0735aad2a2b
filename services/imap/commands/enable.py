"""ENABLE: switch on what changes the server's replies (RFC 5161). CONDSTORE is what there is (RFC 7162 §3.1)."""

from __future__ import annotations

from roost.imap.args import Args
from services.imap.command import Command, State
from services.imap.session import Session


def parse(args: Args) -> list[bytes]:
    names = []
    args.space()
    names.append(args.keyword())
    while not args.at_end():
        args.space()
        names.append(args.keyword())
    return names


async def run(session: Session, names: list[bytes]) -> None:
    """Unknown names are ignored. The reply names what is now on for having been asked."""
    condstore = b"CONDSTORE" in names and session.shared.backend.features.condstore
    session.write(b"* ENABLED CONDSTORE\r\n" if condstore else b"* ENABLED\r\n")
    if condstore:
        session.enable_condstore()


ENABLE = Command(b"ENABLE", State.LOGGED_IN, parse, run, b"Enabled")
