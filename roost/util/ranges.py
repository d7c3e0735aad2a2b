"""Sets of positive integers as ascending, disjoint, non-adjacent ranges: UID sets and sequence sets (RFC 9051 §9).

Immutable. A set of 100,000 consecutive UIDs is one pair.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence


class Ranges:
    """``Ranges([(1, 5), (9, 9)])`` is 1:5,9. Both ends belong to a range."""

    __slots__ = ("pairs",)

    pairs: tuple[tuple[int, int], ...]

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        """From pairs in any order, which may overlap or be reversed."""
        self.pairs = _normal(pairs)

    @classmethod
    def of_sorted(cls, numbers: Iterable[int]) -> Ranges:
        """From ascending numbers (equal neighbours allowed): one pass."""
        pairs: list[tuple[int, int]] = []
        first = last = -1
        for n in numbers:
            if n == last + 1 and first >= 0:
                last = n
            elif n != last:
                if first >= 0:
                    pairs.append((first, last))
                first = last = n
        if first >= 0:
            pairs.append((first, last))
        return cls._from_normal(tuple(pairs))

    @classmethod
    def of(cls, *numbers: int) -> Ranges:
        """From single numbers in any order."""
        return cls.of_sorted(sorted(numbers))

    @classmethod
    def span(cls, low: int, high: int) -> Ranges:
        """low:high; empty when high < low."""
        return cls._from_normal(((low, high),) if high >= low else ())

    @classmethod
    def _from_normal(cls, pairs: tuple[tuple[int, int], ...]) -> Ranges:
        made = cls.__new__(cls)
        made.pairs = pairs
        return made

    @classmethod
    def parse(cls, text: bytes) -> Ranges:
        """From its wire text without ``*`` (``1:5,9``); empty text is the empty set. Raises ValueError."""
        if not text:
            return EMPTY
        pairs = []
        for item in text.split(b","):
            low, colon, high = item.partition(b":")
            pairs.append((int(low), int(high) if colon else int(low)))
        return cls(pairs)

    def format(self) -> bytes:
        """The wire text: ``b"1:5,9"``."""
        return b",".join([b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in self.pairs])

    def __iter__(self) -> Iterator[int]:
        for low, high in self.pairs:
            yield from range(low, high + 1)

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.pairs)

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        i = bisect_right(self.pairs, (number, _TOP))
        return i > 0 and self.pairs[i - 1][1] >= number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Ranges({self.format().decode()!r})"

    def __or__(self, other: Ranges) -> Ranges:
        if not self.pairs or not other.pairs:
            return self if self.pairs else other
        return Ranges(self.pairs + other.pairs)

    def __and__(self, other: Ranges) -> Ranges:
        out = []
        a, b = self.pairs, other.pairs
        i = j = 0
        while i < len(a) and j < len(b):
            low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
            if low <= high:
                out.append((low, high))
            if a[i][1] < b[j][1]:
                i += 1
            else:
                j += 1
        return Ranges._from_normal(tuple(out))

    def __sub__(self, other: Ranges) -> Ranges:
        out = []
        j = 0
        holes = other.pairs
        for start, high in self.pairs:
            low = start
            while j < len(holes) and holes[j][1] < low:
                j += 1
            k = j
            while k < len(holes) and holes[k][0] <= high:
                if holes[k][0] > low:
                    out.append((low, holes[k][0] - 1))
                low = holes[k][1] + 1
                k += 1
            if low <= high:
                out.append((low, high))
        return Ranges._from_normal(tuple(out))

    @property
    def first(self) -> int:
        """The smallest number. Raises IndexError when empty."""
        return self.pairs[0][0]

    @property
    def last(self) -> int:
        """The largest number. Raises IndexError when empty."""
        return self.pairs[-1][1]


_TOP = 1 << 64


def _normal(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    made = tuple(pairs)
    last = -2
    for low, high in made:  # most sets come in order: looking is cheaper than sorting
        if high < low or low <= last + 1:
            break
        last = high
    else:
        return made
    out: list[tuple[int, int]] = []
    last = -2
    for low, high in sorted([(a, b) if a <= b else (b, a) for a, b in made]):
        if low > last + 1:
            out.append((low, high))
            last = high
        elif high > last:
            out[-1] = (out[-1][0], high)
            last = high
    return tuple(out)


def rows_of(ranges: Ranges, uids: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Half-open index ranges ``(start, stop)`` into ascending ``uids[:count]`` of the members of ``ranges``."""
    out = []
    at = 0
    for low, high in ranges.pairs:
        start = bisect_right(uids, low - 1, at, count)
        stop = bisect_right(uids, high, start, count)
        if stop > start:
            out.append((start, stop))
        at = stop
        if at >= count:
            break
    return out


EMPTY = Ranges()
