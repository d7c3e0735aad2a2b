"""LOGIN: name and password as they are (RFC 9051 §6.2.3); refused where that would expose them."""

from __future__ import annotations

from roost.imap.args import Args
from roost.util.secret import Secret
from services.imap import login
from services.imap.command import Command, State, Sync
from services.imap.session import Session


def parse(args: Args) -> tuple[str, Secret]:
    both = args.last_two_astrings()
    if both is None:  # a literal, an escape, a mistake
        args.space()
        user = args.astring()
        args.space()
        password = args.astring()
        args.end()
    else:
        user, password = both
    return user.decode("utf-8", "surrogateescape"), Secret(password)


async def run(session: Session, credentials: tuple[str, Secret]) -> bytes:
    user, password = credentials
    if not session.plaintext_allowed:
        login.refuse_plaintext(session)
    login.count_attempt(session)
    proved = await session.shared.auth.login(user, password, session.conn)
    return await login.begin(session, proved, "PLAIN")


LOGIN = Command(b"LOGIN", State.NOT_AUTHENTICATED, parse, run, b"Logged in", sync=Sync.NOTHING)
