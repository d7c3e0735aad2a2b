"""The SEARCH criteria tree: values only, shared by the grammar (``search_keys.py``), the room and the stores.

A tree is made of frozen dataclasses. Depth and count are bounded by the parser. Text to look for is ``str`` (already
decoded from the client's charset) and is to be compared without regard to case. Days are days since 1970-01-01.

What a store is given never contains ``Seqs`` or ``Recent``, and every ``Uids`` holds ``Ranges``: the room, which alone
knows sequence numbers and who holds \\Recent, replaces them by ``resolve`` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from roost.imap.seqset import SeqSet
from roost.util.ranges import Ranges


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of ``keys`` hold; two or more."""

    keys: tuple[Criteria, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of ``keys`` holds; two or more (``OR a OR b c`` is one Or of three)."""

    keys: tuple[Criteria, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """``key`` does not hold."""

    key: Criteria


@dataclass(frozen=True, slots=True)
class Uids:
    """The message's UID is in ``uids``; a SeqSet as parsed, Ranges once resolved."""

    uids: SeqSet | Ranges


@dataclass(frozen=True, slots=True)
class Seqs:
    """The message's sequence number is in ``seqs``. Never reaches a store."""

    seqs: SeqSet


@dataclass(frozen=True, slots=True)
class Flag:
    """One system flag (a bit of ``roost.imap.flags``) is set, or with ``present`` False is not."""

    mask: int
    present: bool = True


@dataclass(frozen=True, slots=True)
class Keyword:
    """The keyword, in any case, is set, or with ``present`` False is not."""

    name: str
    present: bool = True


@dataclass(frozen=True, slots=True)
class Recent:
    """\\Recent in this session (RECENT), or not (OLD); NEW is And(Recent, Flag(SEEN, False)). Never reaches a store."""

    present: bool = True


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE is greater than ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE is less than ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class Before:
    """The internal date's day is earlier than ``day``."""

    day: int


@dataclass(frozen=True, slots=True)
class On:
    """The internal date's day is ``day``."""

    day: int


@dataclass(frozen=True, slots=True)
class Since:
    """The internal date's day is ``day`` or later."""

    day: int


@dataclass(frozen=True, slots=True)
class SentBefore:
    """The day written in the Date field, its own time and zone disregarded, is earlier than ``day``."""

    day: int


@dataclass(frozen=True, slots=True)
class SentOn:
    """The day written in the Date field is ``day``."""

    day: int


@dataclass(frozen=True, slots=True)
class SentSince:
    """The day written in the Date field is ``day`` or later."""

    day: int


@dataclass(frozen=True, slots=True)
class Header:
    """Some field ``name`` (lower case) contains ``needle``, encoded words decoded; "" means the field exists.

    FROM, TO, CC, BCC and SUBJECT are this too.
    """

    name: str
    needle: str


@dataclass(frozen=True, slots=True)
class Body:
    """The decoded text of some text part contains ``needle``."""

    needle: str


@dataclass(frozen=True, slots=True)
class Text:
    """The header or the body contains ``needle``."""

    needle: str


@dataclass(frozen=True, slots=True)
class ModSeq:
    """The message's modseq is ``minimum`` or greater (RFC 7162 §3.1.5)."""

    minimum: int


Criteria: TypeAlias = (
    All | And | Or | Not | Uids | Seqs | Flag | Keyword | Recent | Larger | Smaller
    | Before | On | Since | SentBefore | SentOn | SentSince | Header | Body | Text | ModSeq
)  # fmt: skip


def resolve(
    criteria: Criteria,
    *,
    seqs: Callable[[SeqSet], Ranges],
    uids: Callable[[SeqSet], Ranges],
    recent: Ranges,
) -> Criteria:
    """The same tree as a store may see it.

    ``seqs`` turns a sequence set into UIDs (it may raise Malformed for numbers that do not exist), ``uids`` resolves
    ``*`` in a UID set, ``recent`` are the UIDs this session shows as \\Recent.
    """
    match criteria:
        case And(keys):
            return And(tuple([resolve(key, seqs=seqs, uids=uids, recent=recent) for key in keys]))
        case Or(keys):
            return Or(tuple([resolve(key, seqs=seqs, uids=uids, recent=recent) for key in keys]))
        case Not(key):
            return Not(resolve(key, seqs=seqs, uids=uids, recent=recent))
        case Seqs(wanted):
            return Uids(seqs(wanted))
        case Uids(SeqSet() as wanted):
            return Uids(uids(wanted))
        case Recent(present):
            return Uids(recent) if present else Not(Uids(recent))
        case _:
            return criteria
