r"""Message flags: bit masks to wire text and back (RFC 9051 §2.3.2).

    flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword

The bits are those of ``roost.storage.api`` (which this layer may not import; a test compares them): five system flags,
then one bit for each keyword of the mailbox by its position in the mailbox's table. ``RECENT`` is one bit more, used
only to choose a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from roost.errors import Malformed

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
KEYWORD_SHIFT: Final = 5
RECENT: Final = 1 << 63

# Bit, name; in the order they are written.
SYSTEM_FLAGS: Final = (
    (ANSWERED, b"\\Answered"),
    (FLAGGED, b"\\Flagged"),
    (DELETED, b"\\Deleted"),
    (SEEN, b"\\Seen"),
    (DRAFT, b"\\Draft"),
    (RECENT, b"\\Recent"),
)
_BITS: Final = {name.lower(): bit for bit, name in SYSTEM_FLAGS if bit != RECENT}
_KEYWORD = re.compile(rb"""[!#$&'+-\[^-z|}~]+""")  # an atom: no ( ) { SP CTL % * " \ ]
_MAX_CACHED_TEXTS: Final = 4096


def parse_flags(names: Iterable[bytes]) -> tuple[int, tuple[str, ...]]:
    """``(mask of system flags, keywords as written without duplicates)``.

    Raises Malformed for a ``\\`` flag that a client cannot set (``\\Recent`` is one) and for a keyword that is no atom.
    """
    mask = 0
    keywords: dict[str, str] = {}
    for name in names:
        if name[:1] == b"\\":
            bit = _BITS.get(name.lower())
            if bit is None:
                raise Malformed(f"Invalid system flag {name.decode('ascii', 'replace')}")
            mask |= bit
        elif _KEYWORD.fullmatch(name):
            keyword = name.decode("ascii")
            keywords.setdefault(keyword.lower(), keyword)
        else:
            raise Malformed(f"Invalid keyword name {name.decode('ascii', 'replace')}")
    return mask, tuple(keywords.values())


class FlagTexts(dict[int, bytes]):
    """``texts[mask]`` is the wire text ``(\\Seen $Junk)`` of a mask (with ``RECENT`` or without), made once.

    One object belongs to one keyword table; keywords beyond the table are left out. Bounded.
    """

    __slots__ = ("_names",)

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        super().__init__()
        self._names = [*SYSTEM_FLAGS, *((1 << (KEYWORD_SHIFT + i), k.encode()) for i, k in enumerate(keywords))]

    def __missing__(self, mask: int) -> bytes:
        text = b"(%s)" % b" ".join([name for bit, name in self._names if mask & bit])
        if len(self) >= _MAX_CACHED_TEXTS:
            self.clear()
        self[mask] = text
        return text


def flags_row(keywords: Sequence[str]) -> bytes:
    """The untagged FLAGS response's list: every system flag and keyword of the mailbox (RFC 9051 §7.3.5)."""
    names = [name for bit, name in SYSTEM_FLAGS if bit != RECENT]
    return b"(%s)" % b" ".join(names + [keyword.encode() for keyword in keywords])


def permanent_flags(keywords: Sequence[str], *, writable: bool, may_grow: bool) -> bytes:
    """The list in PERMANENTFLAGS: ``\\*`` says that new keywords can be made; empty when nothing can be changed."""
    if not writable:
        return b"()"
    row = flags_row(keywords)
    return row[:-1] + b" \\*)" if may_grow else row
