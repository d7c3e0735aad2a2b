"""SEARCH programs (RFC 9051 §6.4.4, RFC 7162 §3.1.5 for MODSEQ): octets to a tree of criteria (``criteria.py``).

    search     = "SEARCH" [SP "RETURN" SP "(" [opts] ")"] [SP "CHARSET" SP charset] 1*(SP search-key)
    search-key = "ALL" / … / "OR" SP search-key SP search-key / "NOT" SP search-key / sequence-set / "(" keys ")"

Depth (parentheses, left sides of OR) and the number of keys are bounded. NOT NOT x is x. Strings are decoded from the
charset here, so that nobody below sees octets; without CHARSET they are UTF-8, of which US-ASCII is a part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from roost.errors import BadCharset, Malformed
from roost.imap import flags
from roost.imap.args import MAX_NUMBER64, Args
from roost.imap.criteria import (
    All,
    And,
    Before,
    Body,
    Criteria,
    Flag,
    Header,
    Keyword,
    Larger,
    ModSeq,
    Not,
    On,
    Or,
    Recent,
    SentBefore,
    SentOn,
    SentSince,
    Seqs,
    Since,
    Smaller,
    Text,
    Uids,
)
from roost.mime import charsets

__all__ = [
    "All",
    "And",
    "Before",
    "Body",
    "Criteria",
    "Flag",
    "Header",
    "Keyword",
    "Larger",
    "ModSeq",
    "Not",
    "On",
    "Or",
    "Recent",
    "SearchProgram",
    "SentBefore",
    "SentOn",
    "SentSince",
    "Seqs",
    "Since",
    "Smaller",
    "Text",
    "Uids",
    "parse",
]

MAX_DEPTH: Final = 100
MAX_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class SearchProgram:
    """A parsed SEARCH. ``return_options``: names in RETURN (…) in upper case, None without RETURN.

    ``uses_modseq``: a MODSEQ key was given, so the answer carries MODSEQ and the session becomes CONDSTORE-aware.
    """

    criteria: Criteria
    charset: str = "UTF-8"
    return_options: tuple[str, ...] | None = None
    uses_modseq: bool = False


# Keys without an argument.
SIMPLE_KEYS: Final[dict[bytes, Criteria]] = {
    b"ALL": All(),
    b"ANSWERED": Flag(flags.ANSWERED),
    b"DELETED": Flag(flags.DELETED),
    b"DRAFT": Flag(flags.DRAFT),
    b"FLAGGED": Flag(flags.FLAGGED),
    b"SEEN": Flag(flags.SEEN),
    b"UNANSWERED": Flag(flags.ANSWERED, False),
    b"UNDELETED": Flag(flags.DELETED, False),
    b"UNDRAFT": Flag(flags.DRAFT, False),
    b"UNFLAGGED": Flag(flags.FLAGGED, False),
    b"UNSEEN": Flag(flags.SEEN, False),
    b"NEW": And((Recent(), Flag(flags.SEEN, False))),
    b"OLD": Recent(False),
    b"RECENT": Recent(),
}

# Keys with one argument, by what the argument is.
FIELD_KEYS: Final = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
TEXT_KEYS: Final[dict[bytes, Callable[[str], Criteria]]] = {b"BODY": Body, b"TEXT": Text}
SIZE_KEYS: Final[dict[bytes, Callable[[int], Criteria]]] = {b"LARGER": Larger, b"SMALLER": Smaller}
DATE_KEYS: Final[dict[bytes, Callable[[int], Criteria]]] = {
    b"BEFORE": Before,
    b"ON": On,
    b"SINCE": Since,
    b"SENTBEFORE": SentBefore,
    b"SENTON": SentOn,
    b"SENTSINCE": SentSince,
}

_SET_STARTS = frozenset(b"0123456789*")
_OPENING = 0x28


def parse(args: Args, *, max_depth: int = MAX_DEPTH, max_keys: int = MAX_KEYS) -> SearchProgram:
    """Everything after ``SEARCH`` and its space, to the end. Raises Malformed, BadCharset."""
    return_options: tuple[str, ...] | None = None
    charset = "UTF-8"
    start = args.pos
    name = _word(args)
    if name == b"RETURN":
        args.space()
        return_options = _return_options(args)
        args.space()
        start = args.pos
        name = _word(args)
    if name == b"CHARSET":
        args.space()
        charset = args.astring().decode("ascii", "replace")
        args.space()
    else:
        args.pos = start
    keys = _Keys(args, charset, max_depth, max_keys)
    criteria = keys.list_of(0)
    args.end()
    return SearchProgram(criteria, charset, return_options, keys.uses_modseq)


def _word(args: Args) -> bytes:
    """An atom in upper case, or nothing when something else stands here."""
    if args.peek() == _OPENING or args.peek() in _SET_STARTS:
        return b""
    return args.keyword()


def _return_options(args: Args) -> tuple[str, ...]:
    args.open_list()
    names = []
    while not args.close_list():
        names.append(args.keyword().decode("ascii"))
    return tuple(names)


class _Keys:
    """The search keys of one program."""

    def __init__(self, args: Args, charset: str, max_depth: int, max_keys: int) -> None:
        self.args = args
        self.max_depth = max_depth
        self.keys_left = max_keys
        self.uses_modseq = False
        codec = charsets.codec(charset)
        if codec is None:
            raise BadCharset("Unknown charset")
        self.codec = "utf-8" if codec == "ascii" else codec

    def list_of(self, depth: int) -> Criteria:
        """Keys up to the end or the closing parenthesis; all of them must hold."""
        args = self.args
        keys: list[Criteria] = []
        while True:
            key = self.key(depth)
            if isinstance(key, And):
                keys.extend(key.keys)
            else:
                keys.append(key)
            if depth and args.close_list():
                break
            if not depth:
                if args.at_end():
                    break
                args.space()
        return keys[0] if len(keys) == 1 else And(tuple(keys))

    def key(self, depth: int) -> Criteria:
        args = self.args
        negated = False
        while True:
            self.keys_left -= 1
            if self.keys_left < 0:
                raise Malformed("Too many search keys")
            next_octet = args.peek()
            if next_octet == _OPENING:
                self._deeper(depth)
                args.open_list()
                found = self.list_of(depth + 1)
                break
            if next_octet in _SET_STARTS:
                found = Seqs(args.seqset())
                break
            name = args.keyword()
            if name == b"NOT":
                negated = not negated
                args.space()
                continue
            found = SIMPLE_KEYS.get(name) or self._with_argument(name, depth)
            break
        return Not(found) if negated else found

    def _deeper(self, depth: int) -> None:
        if depth >= self.max_depth:
            raise Malformed("Too deeply nested search keys")

    def _with_argument(self, name: bytes, depth: int) -> Criteria:
        args = self.args
        if name == b"OR":
            return self._or(depth)
        if name in FIELD_KEYS:
            return Header(FIELD_KEYS[name], self._text())
        if name in TEXT_KEYS:
            return TEXT_KEYS[name](self._text())
        if name in DATE_KEYS:
            args.space()
            return DATE_KEYS[name](args.date())
        if name in SIZE_KEYS:
            args.space()
            return SIZE_KEYS[name](args.number64())
        if name == b"UID":
            args.space()
            return Uids(args.seqset())
        if name == b"HEADER":
            args.space()
            field = args.astring().decode("latin-1").lower().rstrip(": ")
            return Header(field, self._text())
        if name in (b"KEYWORD", b"UNKEYWORD"):
            args.space()
            return Keyword(args.astring().decode("latin-1"), name == b"KEYWORD")
        if name == b"MODSEQ":
            return self._modseq()
        raise Malformed(f"Unknown argument {name.decode('ascii')}")

    def _or(self, depth: int) -> Criteria:
        """``OR a OR b c`` is read on in a loop; only left sides go deeper."""
        args = self.args
        self._deeper(depth)
        keys: list[Criteria] = []
        while True:
            args.space()
            keys.append(self.key(depth + 1))
            args.space()
            start = args.pos
            if _word(args) == b"OR":
                self.keys_left -= 1
                continue
            args.pos = start
            keys.append(self.key(depth + 1))
            return Or(tuple(keys))

    def _text(self) -> str:
        self.args.space()
        octets = self.args.astring()
        try:
            return octets.decode(self.codec)
        except UnicodeDecodeError:
            raise Malformed("Search string is not in its charset") from None

    def _modseq(self) -> Criteria:
        """``MODSEQ ["/flags/\\Seen" ("all" / "priv" / "shared")] n``.

        One modseq a message, so the entry changes nothing.
        """
        args = self.args
        args.space()
        if args.peek() == 0x22:
            args.string()
            args.space()
            if args.keyword() not in (b"ALL", b"PRIV", b"SHARED"):
                raise Malformed("Invalid MODSEQ type")
            args.space()
        self.uses_modseq = True
        return ModSeq(args.number(MAX_NUMBER64))
