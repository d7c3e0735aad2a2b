"""FETCH items (RFC 9051 §6.4.5, RFC 3501 for RFC822.*, RFC 7162 for MODSEQ and CHANGEDSINCE): octets to values.

    fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] / "UID" / "MODSEQ" /
                "BODY" ["STRUCTURE"] / "BODY" [".PEEK"] "[" [section] "]" ["<" number "." nz-number ">"]
    section   = [part *("." part)] ["." ("HEADER" [".FIELDS" [".NOT"] SP header-list] / "TEXT" / "MIME")]

As with Dovecot, ``<n>`` means all from octet n on, a count of 0 gives nothing, part 0 is a part that does not exist.
Clients repeat the same few texts for ever, so a text without literals is parsed once and remembered (bounded).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from roost.errors import Malformed
from roost.imap.args import Args
from roost.imap.assembler import Complete
from roost.imap.replies import astring


class Kind(enum.Enum):
    """What a FETCH item is. SECTION covers BODY[…], RFC822, RFC822.HEADER and RFC822.TEXT."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    SECTION = "SECTION"


@dataclass(frozen=True, slots=True)
class Section:
    """``path`` of part numbers, ``part`` one of "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, MIME, TEXT; ``fields``
    are lower-case names in the order asked, without duplicates."""

    path: tuple[int, ...] = ()
    part: str = ""
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchItem:
    """One thing to fetch. ``label`` is its name in the reply, with ``<start>`` when there is a ``partial``.

    ``partial`` is (first octet, count). ``sets_seen``: fetching it sets \\Seen.
    """

    kind: Kind
    label: bytes
    section: Section | None = None
    partial: tuple[int, int] | None = None
    sets_seen: bool = False


@dataclass(frozen=True, slots=True)
class FetchArgs:
    """All of a FETCH but its set: ``items`` in the order asked without duplicates; CHANGEDSINCE (RFC 7162) or None."""

    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    sets_seen: bool = False


_WHOLE, _HEADER, _TEXT = Section(), Section(part="HEADER"), Section(part="TEXT")

ITEMS: Final = {
    **{
        kind.value.encode(): FetchItem(kind, kind.value.encode())
        for kind in Kind
        if kind is not Kind.SECTION and kind is not Kind.MODSEQ
    },
    b"MODSEQ": FetchItem(Kind.MODSEQ, b"MODSEQ"),
    b"RFC822": FetchItem(Kind.SECTION, b"RFC822", _WHOLE, sets_seen=True),
    b"RFC822.HEADER": FetchItem(Kind.SECTION, b"RFC822.HEADER", _HEADER),
    b"RFC822.TEXT": FetchItem(Kind.SECTION, b"RFC822.TEXT", _TEXT, sets_seen=True),
}

_FAST = (ITEMS[b"FLAGS"], ITEMS[b"INTERNALDATE"], ITEMS[b"RFC822.SIZE"])
MACROS: Final = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, ITEMS[b"ENVELOPE"]),
    b"FULL": (*_FAST, ITEMS[b"ENVELOPE"], ITEMS[b"BODY"]),
}

_NAME = re.compile(rb"([A-Za-z0-9.]+)(\[?)")
_PATH = rb"[0-9]{1,10}(?:\.[0-9]{1,10})*+"
_SECTION = re.compile(
    rb"(?:("
    + _PATH
    + rb")(?:\.(HEADER|TEXT|MIME|HEADER\.FIELDS(?:\.NOT)?+)(?=[\] ]))?|(HEADER(?:\.FIELDS(?:\.NOT)?+)?+|TEXT)?)",
    re.IGNORECASE,
)
_PARTIAL = re.compile(rb"<([0-9]{1,19})(?:\.([0-9]{1,19}))?>")
_LONGEST_REMEMBERED_OCTETS: Final = 1024


def parse(args: Args) -> FetchArgs:
    """The items and modifiers, to the end of the command. Raises Malformed."""
    if not args.literals and len(args.raw) - args.pos <= _LONGEST_REMEMBERED_OCTETS:
        text = args.raw[args.pos :]
        args.pos = len(args.raw)
        return _parse_text(text)
    return _parse(args)


@lru_cache(maxsize=512)
def _parse_text(text: bytes) -> FetchArgs:
    return _parse(Args(Complete(text)))


def _parse(args: Args) -> FetchArgs:
    items: dict[FetchItem, None] = {}
    if args.next_is(b"("):
        while not args.close_list():
            items[_item(args)] = None
        if not items:
            raise Malformed("FETCH list is empty.")
    else:
        start = args.pos
        name = args.match(_NAME)
        if name is not None and (macro := MACROS.get(name[0].upper())):
            items = dict.fromkeys(macro)
        else:
            args.pos = start
            items[_item(args)] = None
    changed_since = None if args.at_end() else _modifiers(args)
    args.end()
    return FetchArgs(tuple(items), changed_since, any(item.sets_seen for item in items))


def _item(args: Args) -> FetchItem:
    match = args.match(_NAME)
    if match is None:
        raise Malformed("FETCH list contains non-atoms.")
    name = match[1].upper()
    if not match[2]:
        item = ITEMS.get(name)
        if item is None:
            raise Malformed(f"Unknown parameter: {name.decode('ascii')}")
        return item
    if name not in (b"BODY", b"BODY.PEEK"):
        raise Malformed(f"Unknown parameter: {name.decode('ascii')}[")
    section, label = _section(args)
    partial = None
    if args.peek() == _LESS_THAN:
        match = args.match(_PARTIAL)
        if match is None:
            raise Malformed("Invalid BODY[..] parameter")
        start, count = int(match[1]), int(match[2] or _MAX_OCTETS)
        if max(start, count) > _MAX_OCTETS:
            raise Malformed("Invalid BODY[..] parameter")
        partial = (start, count)
        label += b"<%d>" % start
    return FetchItem(Kind.SECTION, label, section, partial, sets_seen=name == b"BODY")


_LESS_THAN = 0x3C
_MAX_OCTETS = (1 << 63) - 1


def _section(args: Args) -> tuple[Section, bytes]:
    """What stands between the brackets, and the label of the reply; past the closing bracket."""
    match = args.match(_SECTION)
    if match is None:
        raise Malformed("Invalid BODY[..] parameter")
    path_text = match[1] or b""
    part = (match[2] or match[3] or b"").upper()
    label = b".".join([piece for piece in (path_text, part) if piece])
    names: list[bytes] = []
    if part.startswith(b"HEADER.FIELDS"):
        args.space()
        args.open_list()
        while not args.close_list():
            names.append(args.astring())
        if not names:
            raise Malformed("Header list is empty")
        label += b" (%s)" % b" ".join([astring(name.upper()) for name in names])
        args.skip_spaces()
    args.expect(b"]")
    path = tuple(map(int, path_text.split(b"."))) if path_text else ()
    fields = tuple(dict.fromkeys([name.lower() for name in names]))
    return Section(path, part.decode("ascii"), fields), b"BODY[%s]" % label


def _modifiers(args: Args) -> int | None:
    """``SP "(" "CHANGEDSINCE" SP mod-sequence-value ")"``."""
    args.space()
    args.open_list()
    changed_since: int | None = None
    while not args.close_list():
        name = args.keyword()
        if name != b"CHANGEDSINCE" or changed_since is not None:
            raise Malformed("Unknown FETCH modifier")
        args.space()
        changed_since = args.number64()
    return changed_since
