"""From a complete command to its replies: the row, the state test, the run, the tagged line. THE error → NO/BAD table.

``execute`` never raises but for a lost connection or a cancelled task. Replies of one command come in this order:
what the command itself says, what happened in the mailbox meanwhile (as the row's ``sync`` allows), the tagged line.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from roost.errors import Corrupt, Malformed, NoSuchMailbox, Refused, RoostError, Unavailable
from roost.imap import replies
from roost.imap.args import Args
from roost.imap.assembler import Complete, LineTooLong, Literal
from roost.net.connection import ConnectionLost
from services.imap.command import Command, State, Sync
from services.imap.commands import COMMANDS
from services.imap.session import Session

# Class → status word, log level. The most specific class of the error's ancestry decides.
ERRORS: Final[dict[type[RoostError], tuple[bytes, str]]] = {
    Malformed: (b"BAD", "debug"),
    Refused: (b"NO", "debug"),
    Unavailable: (b"NO", "warning"),
    Corrupt: (b"NO", "error"),
}
# The shortest way for nearly all: tag and name as clients write them, then the end or a space.
_PLAIN = re.compile(rb"([!#$&',-\[^-z|}~\]]++) ([A-Za-z]++)(?: |\Z)")
PLAIN: Final = {name: command for command in COMMANDS.values() for name in (command.name, command.name.lower())}
SERVER_BUG: Final = b"%b NO [SERVERBUG] Internal error occurred. Refer to server log for more information.\r\n"

# First words of other protocols' clients: as a tag before a line that is no command of ours they give them away.
FOREIGN: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS CONNECT TRACE PATCH PRI EHLO HELO LHLO MAIL RCPT DATA USER PASS QUIT SSH".split()
)
_FIRST_WORD = re.compile(rb"[A-Za-z]+")
_TAG = re.compile(rb"([!#$&',-\[^-z|}~\]]+)(?: ([A-Za-z]{1,20}))?")

DISCARDED_LITERAL_OCTETS: Final = 64 << 20
"""A refused literal that the client sends without asking is read and thrown away up to this; a bigger one ends it."""


async def execute(session: Session, line: Complete) -> None:
    """Run one command. Raises ConnectionLost and CancelledError only."""
    args: Args | None
    plain = _PLAIN.match(line.raw)
    command = PLAIN.get(plain[2]) if plain is not None else None
    if plain is not None and command is not None and command.states & session.state:
        tag, name = plain.groups()
        end = plain.end(2)
        if end == len(line.raw) and command.parse is None:
            args = None
        else:
            args = Args(line)
            args.pos = end
    else:
        args = Args(line)
        try:
            tag, name = args.command()
        except Malformed:
            bad(session, b"*", b"tag", "Invalid tag.", line.raw)
            return
        command = COMMANDS.get(name)
        if command is None or not command.states & session.state:
            bad(session, tag, name, _why_not(session, command), line.raw)
            return
    client = session.client
    try:
        if args is None:
            done = await command.run(session, None)
        elif command.parse is not None:
            done = await command.run(session, command.parse(args))
        else:
            args.end()
            done = await command.run(session, None)
        session.bad_commands = 0
        view = session.view
        if view is not None and command.sync is not Sync.NOTHING:
            if view.stepped:
                view.stepped = False
            else:
                await _sync(session, command)
        client.write(b"%b OK %b\r\n" % (tag, done or command.done))
        if command.after is not None:
            command.after(session)
    except (ConnectionLost, asyncio.CancelledError):
        raise
    except Malformed as exc:
        bad(session, tag, name, exc.client_text, line.raw)
    except RoostError as exc:
        await _refuse(session, command, tag, exc)
    except Exception as exc:
        session.log.exception(f"{name.decode()} failed", exc=exc)
        client.write(SERVER_BUG % tag)
        session.end("Internal error")


async def _sync(session: Session, command: Command[Any]) -> None:
    """The untagged replies before a tagged one. A store that cannot tell now does not undo what the command did."""
    if session.shared.delay_newmail and command.sync is not Sync.ASKED:
        return
    try:
        await session.sync(expunge=command.sync is not Sync.KEEP, by_uid=command.by_uid)
    except ConnectionLost:
        raise
    except RoostError as exc:
        _note(session, "sync", exc)


async def _refuse(session: Session, command: Command[Any], tag: bytes, exc: RoostError) -> None:
    """NO: the error's code and text, after what else happened in the mailbox."""
    code = (exc.code or "").encode()
    if command.try_create and isinstance(exc, NoSuchMailbox):
        code = b"TRYCREATE"
    _note(session, command.name.decode(), exc)
    if session.view is not None and command.sync is not Sync.NOTHING:
        await _sync(session, command)
    status, _ = _row(exc)
    session.write(replies.tagged(tag, status, exc.client_text, code))


def _row(exc: RoostError) -> tuple[bytes, str]:
    for ancestor in type(exc).__mro__:
        if ancestor in ERRORS:
            return ERRORS[ancestor]
    return b"NO", "error"


def _note(session: Session, doing: str, exc: RoostError) -> None:
    _, level = _row(exc)
    session.shared.complain(session.log, level, f"{doing}: {exc}")


def _why_not(session: Session, command: Command[Any] | None) -> str:
    if command is None:
        return "Unknown command."
    if session.state == State.NOT_AUTHENTICATED:
        return "Please log in first."
    if command.states == State.SELECTED:
        return "No mailbox selected."
    return "Already logged in."


def bad(session: Session, tag: bytes, name: bytes, text: str, raw: bytes) -> None:
    """BAD, counted; BYE when there were too many in a row, or at once for another protocol's client."""
    limits = session.shared.imap
    before_login = session.state == State.NOT_AUTHENTICATED
    if before_login and _is_foreign(raw):
        session.write(b"* BYE This is an IMAP server.\r\n")
        session.end("Client speaks another protocol")
        return
    if text == "No mailbox selected.":
        session.write(replies.tagged(tag, b"BAD", text))
    elif name:
        where = "tag" if tag == b"*" else f"command {name.decode('ascii', 'replace')[:40]}"
        session.write(replies.tagged(tag, b"BAD", f"Error in IMAP {where}: {text}"))
    else:
        session.write(replies.tagged(tag, b"BAD", "Error in IMAP command: Missing or invalid command."))
    session.bad_commands += 1
    allowed = limits.imap_max_bad_commands_before_login if before_login else limits.imap_max_bad_commands
    if session.bad_commands >= allowed:
        session.write(b"* BYE Too many invalid IMAP commands.\r\n")
        session.end("Too many invalid IMAP commands.")


def _is_foreign(raw: bytes) -> bool:
    if raw[:1] == b"\x16":  # a TLS ClientHello
        return True
    word = _FIRST_WORD.match(raw)
    return word is not None and word[0].upper() in FOREIGN


def too_long(session: Session, event: LineTooLong) -> None:
    """A command line above the limit: answered by its tag, if one can be read."""
    match = _TAG.match(event.start)
    tag, name = (match[1], match[2] or b"?") if match else (b"*", b"tag")
    bad(session, tag, name.upper(), "Too long command line.", event.start)


async def decide_literal(session: Session, event: Literal) -> object | None:
    """What to do with an announced literal: None to collect it, else the value that receives it (a sink).

    A literal that must not come is answered here if the client waits for our "+" (the value is then ``REFUSED``), and
    otherwise gets a sink that throws it away; the command fails when it is complete.
    """
    args = Args(Complete(event.raw, event.literals))
    try:
        tag, name = args.command()
    except Malformed:
        tag, name = b"*", b"tag"
    command = COMMANDS.get(name)
    try:
        if command is None or not command.states & session.state:
            raise Malformed("Invalid tag." if name == b"tag" else _why_not(session, command))
        if command.upload is not None:
            return await command.upload(session, args, event.size)
        if event.fits:
            return None
        raise Malformed("Too long argument.")
    except (ConnectionLost, asyncio.CancelledError):
        raise
    except RoostError as exc:
        if not event.sync:
            if event.size > DISCARDED_LITERAL_OCTETS:
                session.write(b"* BYE [TOOBIG] Literal is too big.\r\n")
                session.end("Too big literal")
            return Refusal(exc)
        if isinstance(exc, Malformed):
            bad(session, tag, name, exc.client_text, event.raw)
        elif command is not None:
            await _refuse(session, command, tag, exc)
        return REFUSED
    except Exception as exc:
        session.log.exception(f"{name.decode()} failed", exc=exc)
        session.write(SERVER_BUG % tag)
        session.end("Internal error")
        return REFUSED


class Refusal:
    """Receives the octets of a literal that was refused too late, and remembers why."""

    __slots__ = ("error",)

    def __init__(self, error: RoostError) -> None:
        self.error = error

    def __call__(self, view: memoryview) -> None:
        """Throw them away."""


REFUSED: Final = object()
