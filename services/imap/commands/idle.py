"""IDLE: the client waits and is told at once what happens in its mailbox (RFC 2177).

Legal with no mailbox selected, and then simply waits (Outlook does that). Anything but DONE ends it with BAD.
"""

from __future__ import annotations

from typing import Final

from roost.errors import Malformed, RoostError
from roost.imap.replies import IDLING
from roost.net.connection import ConnectionLost
from services.imap.command import Command, State
from services.imap.session import Session

STILL_HERE: Final = b"* OK Still here\r\n"


async def run(session: Session, _: None) -> None:
    client = session.client

    def still_here() -> None:
        client.write(STILL_HERE)

    if session.view is not None:
        session.view.parsed = None
    session.watch()
    client.write(IDLING)
    client.idling(still_here)
    try:
        line = None
        while line is None:
            await _tell(session)
            line = await client.line_or_poke()
    finally:
        client.idling(None)
    if line.strip().upper() != b"DONE":
        raise Malformed("Expected DONE.")


async def _tell(session: Session) -> None:
    """What has happened; a store that cannot say is asked again at the next hint."""
    try:
        await session.sync(expunge=True)
        if session.view is not None:
            await session.view.mailbox.rest()
    except ConnectionLost:
        raise
    except RoostError as exc:
        session.shared.complain(session.log, "warning", f"IDLE: {exc}")


IDLE = Command(b"IDLE", State.LOGGED_IN, None, run, b"Idle completed.")
