"""Sequence sets and UID sets as clients write them (RFC 9051 §9 ``sequence-set``).

    sequence-set = (seq-number / seq-range) ["," sequence-set]
    seq-range    = seq-number ":" seq-number          ; 2:4 and 4:2 are equivalent
    seq-number   = nz-number / "*"

``parse`` keeps what was written, ``resolve`` puts the largest number in place of ``*`` and gives ``Ranges``. Numbers
above 2**32-1, zero, and anything else raise ``Malformed``. Linear time; the length of the line is the bound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from roost.errors import Malformed
from roost.util.ranges import EMPTY, Ranges

STAR: Final = 1 << 32
"""Stands for ``*`` in ``SeqSet.pairs``: above every number there is, so ascending order stays true."""

MAX_NUMBER: Final = (1 << 32) - 1

INVALID_SET: Final = "Invalid messageset"

_NUMBER = rb"(?:[1-9][0-9]{0,9}|\*)"
_ITEM = _NUMBER + rb"(?::" + _NUMBER + rb")?"
PATTERN: Final = re.compile(_ITEM + rb"(?:," + _ITEM + rb")*+")


@dataclass(frozen=True, slots=True)
class SeqSet:
    """Pairs ``(low, high)`` as ``Ranges`` would hold them, except that an end may be ``STAR``."""

    pairs: tuple[tuple[int, int], ...]

    @property
    def has_star(self) -> bool:
        return self.pairs[-1][1] == STAR


def parse(text: bytes) -> SeqSet:
    """The set a client wrote. Raises Malformed."""
    if not PATTERN.fullmatch(text):
        raise Malformed(INVALID_SET)
    return from_matched(text)


def from_matched(text: bytes) -> SeqSet:
    """The set of ``text``, which ``PATTERN`` has matched. Raises Malformed for numbers above 2**32-1."""
    if text.isdigit():  # one message; rarely the same one again
        number = int(text)
        if number > MAX_NUMBER:
            raise Malformed(INVALID_SET)
        return SeqSet(((number, number),))
    return _short(text) if len(text) <= _SHORT_OCTETS else _make(text)


def _make(text: bytes) -> SeqSet:
    if b"*" in text:
        if b"4294967296" in text:
            raise Malformed(INVALID_SET)
        text = text.replace(b"*", b"4294967296")
        limit = STAR
    else:
        limit = MAX_NUMBER
    if b"," not in text:
        low, colon, high = text.partition(b":")
        a = int(low)
        b = int(high) if colon else a
        if a > b:
            a, b = b, a
        if b > limit:
            raise Malformed(INVALID_SET)
        return SeqSet(((a, b),))
    pairs = Ranges(_pairs(text)).pairs
    if pairs[-1][1] > limit:
        raise Malformed(INVALID_SET)
    return SeqSet(pairs)


_SHORT_OCTETS = 16  # 1:* and the like come again and again
_short = lru_cache(maxsize=1024)(_make)


def _pairs(text: bytes) -> Iterable[tuple[int, int]]:
    """The pairs of a matched text, as written. A JSON array of its numbers is the quickest way to many integers."""
    colons = text.count(b":")
    if not colons:
        numbers = json.loads(b"[%s]" % text)
        return zip(numbers, numbers, strict=True)
    if colons == text.count(b",") + 1:
        numbers = json.loads(b"[%s]" % text.replace(b":", b","))
        return zip(numbers[::2], numbers[1::2], strict=True)
    items = json.loads(b"[[%s]]" % text.replace(b",", b"],[").replace(b":", b","))
    return [(item[0], item[-1]) for item in items]


def resolve(seqset: SeqSet, maximum: int) -> Ranges:
    """The numbers meant when ``maximum`` is the largest one in the mailbox.

    ``*`` becomes ``maximum``, so ``n:*`` with n above it still names the last message (RFC 9051 §9, seq-range). Numbers
    above ``maximum`` that were written out stay (unless a range to ``*`` has swallowed them): it is for the caller to
    ignore them (UIDs) or to refuse them (sequence numbers). In an empty mailbox (``maximum`` 0) a set with ``*`` means
    its ranges without it.
    """
    pairs = seqset.pairs
    if pairs[-1][1] != STAR:
        return Ranges._from_normal(pairs)
    if maximum <= 0:
        return Ranges(pair for pair in pairs if pair[1] != STAR) if len(pairs) > 1 else EMPTY
    return Ranges([(maximum if a == STAR else a, maximum if b == STAR else b) for a, b in pairs])
