"""Range sets against plain Python sets."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.util.ranges import EMPTY, Ranges, rows_of

NUMBERS = st.sets(st.integers(1, 60))
PAIRS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=12)


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {n for a, b in pairs for n in range(min(a, b), max(a, b) + 1)}


@given(PAIRS)
def test_made_from_pairs_in_any_order(pairs: list[tuple[int, int]]) -> None:
    made = Ranges(pairs)
    assert list(made) == sorted(members(pairs))
    assert all(low <= high for low, high in made.pairs)
    assert all(made.pairs[i][1] + 1 < made.pairs[i + 1][0] for i in range(len(made.pairs) - 1))
    assert Ranges.parse(made.format()) == made


@given(NUMBERS, NUMBERS)
def test_algebra(a: set[int], b: set[int]) -> None:
    x, y = Ranges.of(*a), Ranges.of(*b)
    assert set(x | y) == a | b
    assert set(x & y) == a & b
    assert set(x - y) == a - b
    assert len(x) == len(a)
    assert bool(x) == bool(a)
    assert all((n in x) == (n in a) for n in range(62))
    if a:
        assert (x.first, x.last) == (min(a), max(a))


@given(NUMBERS, NUMBERS)
def test_rows_of(wanted: set[int], there: set[int]) -> None:
    uids = array("Q", sorted(there))
    rows = rows_of(Ranges.of(*wanted), uids, len(uids))
    assert [uids[i] for start, stop in rows for i in range(start, stop)] == sorted(wanted & there)


def test_rows_of_looks_no_further_than_count() -> None:
    assert rows_of(Ranges.span(1, 9), array("Q", [1, 2, 3]), 2) == [(0, 2)]


def test_of_sorted_allows_equal_neighbours() -> None:
    assert Ranges.of_sorted([1, 1, 2, 4, 4]).pairs == ((1, 2), (4, 4))


def test_span_and_equality() -> None:
    assert Ranges.span(3, 2) == EMPTY
    assert hash(Ranges.span(1, 2)) == hash(Ranges([(2, 2), (1, 1)]))
    assert "x" not in Ranges.span(1, 2)


@pytest.mark.parametrize("text", [b"x", b"1:", b"1,,2", b"1:2:3"])
def test_parse_refuses(text: bytes) -> None:
    with pytest.raises(ValueError):
        Ranges.parse(text)
