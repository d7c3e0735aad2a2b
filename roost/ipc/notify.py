"""The notify socket's messages (``docs/protocols/notify.md``): hints that a user's mail changed.

Worker to service: ``WATCH user`` · ``UNWATCH user`` · ``HINT user mailbox modseq kinds``.
Service to worker: ``HINT …`` · ``RESYNC`` (hints were lost: look at everything you watch) · ``NOBODY user`` (no other
worker watches this user: send no more hints) · ``WANTED user`` (somebody does now: send them again, and one at once
if you kept any back).

A hint is at most 300 octets: a user name longer than 96 octets travels as its digest, which serves as well, for
names are only ever compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from roost.errors import Malformed
from roost.ipc.handshake import is_number
from roost.ipc.lines import decode_text, encode, to_octets

CLIENT, SERVER, MAJOR, MINOR = "notify-client", "notify-server", 1, 0
MAX_LINE_OCTETS = 300
MAX_USER_OCTETS = 96
MAX_MAILBOX_OCTETS = 48

RESYNC_LINE = encode("RESYNC")


@dataclass(frozen=True, slots=True)
class Hint:
    """``user`` is a key made by ``user_key``. Empty ``mailbox``: all of them."""

    user: str
    mailbox: str = ""
    modseq: int = 0
    kinds: int = 0

    def merged(self, later: Hint) -> Hint:
        """One hint that tells what both told (of one user and mailbox)."""
        return Hint(self.user, self.mailbox, max(self.modseq, later.modseq), self.kinds | later.kinds)


@dataclass(frozen=True, slots=True)
class Watch:
    user: str


@dataclass(frozen=True, slots=True)
class Unwatch:
    user: str


@dataclass(frozen=True, slots=True)
class Resync:
    pass


@dataclass(frozen=True, slots=True)
class Nobody:
    user: str


@dataclass(frozen=True, slots=True)
class Wanted:
    user: str


Message = Hint | Watch | Unwatch | Resync | Nobody | Wanted


def user_key(username: str) -> str:
    """What stands for a user in these messages: the name itself when it is short."""
    octets = to_octets(username)
    if len(octets) <= MAX_USER_OCTETS:
        return username
    return "#" + hashlib.blake2b(octets, digest_size=16).hexdigest()


def hint_line(hint: Hint) -> bytes:
    """A mailbox id too long for the line becomes "all mailboxes"."""
    mailbox = hint.mailbox if len(hint.mailbox) <= MAX_MAILBOX_OCTETS and hint.mailbox.isascii() else ""
    return encode("HINT", hint.user, mailbox, str(hint.modseq), str(hint.kinds))


def watch_line(user: str) -> bytes:
    return encode("WATCH", user)


def unwatch_line(user: str) -> bytes:
    return encode("UNWATCH", user)


def nobody_line(user: str) -> bytes:
    return encode("NOBODY", user)


def wanted_line(user: str) -> bytes:
    return encode("WANTED", user)


def parse(line: bytes) -> Message:
    """Raises Malformed for anything but the messages above, and for a user name too long."""
    fields = decode_text(line)
    word, arguments = fields[0], fields[1:]
    if word == "HINT" and len(arguments) == 4:
        user, mailbox, modseq, kinds = arguments
        if is_number(modseq) and is_number(kinds):
            return Hint(_checked(user), mailbox, int(modseq), int(kinds))
    elif word == "RESYNC" and not arguments:
        return Resync()
    elif len(arguments) == 1 and word in _BY_WORD:
        return _BY_WORD[word](_checked(arguments[0]))
    raise Malformed("Invalid request.", detail=f"got {line[:80]!r}")


_BY_WORD: dict[str, type[Watch] | type[Unwatch] | type[Nobody] | type[Wanted]] = {
    "WATCH": Watch,
    "UNWATCH": Unwatch,
    "NOBODY": Nobody,
    "WANTED": Wanted,
}


def _checked(user: str) -> str:
    if len(to_octets(user)) > MAX_USER_OCTETS:
        raise Malformed("Invalid request.", detail="user name too long")
    return user
