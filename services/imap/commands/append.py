"""APPEND and MULTIAPPEND: all messages of one command or none (RFC 9051 §6.3.12, RFC 3502, APPENDUID: RFC 4315 §3).

A mailbox that is not there and a message that is too big are refused before the client sends it, if it asks first. A
message that arrives as one big literal goes straight to an upload, which becomes a file above a bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from roost.errors import Malformed, RoostError, TooBig
from roost.imap import mailbox_name
from roost.imap.args import Args
from roost.storage.api import Flags, NewMessage, User
from roost.storage.upload import Upload
from services.imap.command import Command, State
from services.imap.session import Session


class Receiver:
    """Takes the octets of one big literal into an upload; a failure is remembered, and the rest thrown away."""

    __slots__ = ("error", "upload")

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.error: RoostError | None = None

    def __call__(self, view: memoryview) -> None:
        if self.error is None:
            try:
                self.upload.write(view)
            except RoostError as exc:
                self.error = exc
                self.upload.abort()


@dataclass(slots=True)
class Item:
    """One message: ``content`` is its octets, or what received them."""

    flags: Flags
    internal_date: int | None
    content: object


@dataclass(slots=True)
class ToAppend:
    name: str
    items: list[Item]


def parse(args: Args) -> ToAppend:
    """``SP mailbox 1*(SP ["(" flags ")" SP] [date-time SP] literal)``."""
    one = _ONE.fullmatch(args.raw, args.pos)
    if one is not None:
        return ToAppend(mailbox_name.decode(one[one.lastindex or 0]), [Item(_NO_FLAGS, None, args.literals[0])])
    args.space()
    asked = ToAppend(args.mailbox(), [])
    while True:
        args.space()
        flags, date = _before_literal(args)
        if args.literal_is_binary():
            raise Malformed("Invalid arguments.")
        asked.items.append(Item(flags, date, args.literal()))
        if args.at_end():
            return asked


def _before_literal(args: Args) -> tuple[Flags, int | None]:
    """Flags and date of the next message; the cursor then stands at its literal."""
    flags, date = _NO_FLAGS, None
    if args.peek() == _OPENING:
        flags = Flags(*args.flag_list())
        args.space()
    if args.peek() == _QUOTE:
        date = args.date_time()
        args.space()
    return flags, date


_OPENING, _QUOTE = 0x28, 0x22
_NO_FLAGS = Flags()
# One message without flags and date, for a mailbox with a plain name.
_ONE = re.compile(rb' (?:([A-Za-z0-9._/-]++)|"([A-Za-z0-9._/ -]++)") \n')


async def accept(session: Session, args: Args, size: int) -> Receiver:
    """A literal of ``size`` is announced, ``args`` is the command up to it: where it goes, or why it must not come.

    Raises Malformed, NoSuchMailbox, TooBig, and the reason why the literal before was refused. Of a long MULTIAPPEND
    only the end is looked at, so that its cost does not grow with the square of its messages.
    """
    args.space()
    name = args.mailbox()
    end = len(args.raw) - 1
    before = args.raw.rfind(b"\n", args.pos, end)
    accepted = False
    if before >= 0:
        args.pos = before + 1
        accepted = isinstance(_checked(args.literals[-1]), Receiver)
    args.space()
    _before_literal(args)
    if args.literal_is_binary() or args.pos != end:
        raise Malformed("Invalid arguments.")
    if not accepted:
        await session.mailbox(name)
    return Receiver(session.store.new_upload(size))


def _checked(content: object) -> object:
    """A literal's value; raises why it was refused or could not be kept."""
    error = getattr(content, "error", None)
    if isinstance(error, RoostError):
        raise error
    return content


async def run(session: Session, asked: ToAppend) -> bytes:
    """Durable before the reply. An empty message is refused, as Dovecot does: clients send it to cancel."""
    messages: list[NewMessage] = []
    store = session.store
    try:
        for item in asked.items:
            messages.append(NewMessage(_upload(store, _checked(item.content)), item.flags, item.internal_date))
        mailbox = await store.get_mailbox(session.checked_name(asked.name))
        result = await mailbox.create_messages(messages)
    finally:
        for message in messages:
            message.upload.close()
    return b"[APPENDUID %d %b] Append completed." % (result.uidvalidity, result.uids.format())


def _upload(store: User, content: object) -> Upload:
    if isinstance(content, Receiver):
        return content.upload
    if not isinstance(content, bytes):
        raise TooBig("Message is too big.")
    if not content:
        raise Malformed("Can't save a zero byte message.")
    upload = store.new_upload(len(content))
    upload.write(content)
    return upload


APPEND = Command(b"APPEND", State.LOGGED_IN, parse, run, b"Append completed.", try_create=True, upload=accept)
