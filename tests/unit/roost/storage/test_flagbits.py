"""Masks of many messages at once, against one message at a time."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import LimitExceeded, Refused
from roost.storage import flagbits
from roost.storage.api import Flags, FlagsOp
from roost.storage.limits import Limits

MASKS = st.one_of(st.integers(0, 63), st.integers(0, (1 << 63) - 1))


@given(st.lists(MASKS, min_size=1, max_size=40), st.sampled_from(list(FlagsOp)), MASKS, st.data())
@settings(max_examples=200)
def test_change_and_would_change(masks: list[int], op: FlagsOp, mask: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(masks) - 1))
    stop = data.draw(st.integers(start + 1, len(masks)))
    flags = array("Q", masks)
    wanted = [flagbits.apply_mask(op, old, mask) if start <= n < stop else old for n, old in enumerate(masks)]
    rows = flagbits.would_change(flags, start, stop, op, mask)
    assert [n for a, b in rows for n in range(a, b)] == [n for n in range(len(masks)) if wanted[n] != masks[n]]
    assert all(b < c for (_, b), (c, _) in pairwise(rows)), "runs must not touch"
    flagbits.change(flags, start, stop, op, mask)
    assert list(flags) == wanted


@given(st.lists(MASKS, max_size=40), st.integers(0, 62))
@settings(max_examples=100)
def test_planes(masks: list[int], bit: int) -> None:
    flags = array("Q", masks)
    marks = flagbits.plane(flags, 1 << bit)
    assert list(marks) == [mask >> bit & 1 for mask in masks]
    assert list(flagbits.plane(flags, 1 << bit, 1, 4)) == [mask >> bit & 1 for mask in masks[1:4]]
    assert [n for a, b in flagbits.runs(marks, 100) for n in range(a, b)] == [
        100 + n for n, mark in enumerate(marks) if mark
    ]
    assert flagbits.count_unseen(flags) == sum(not mask & 1 for mask in masks)
    assert flagbits.count_deleted(flags) == sum(bool(mask & 8) for mask in masks)
    assert flagbits.first_without(flags, 1) == next((n for n, mask in enumerate(masks) if not mask & 1), -1)


def test_keyword_tables() -> None:
    limits = Limits(keyword_limit=3, mail_max_keyword_length=5)
    table = flagbits.add_keywords(("Junk",), ("JUNK", "new", "New"), limits)
    assert table == ("Junk", "new")
    with pytest.raises(LimitExceeded):
        flagbits.add_keywords(table, ("a", "b"), limits)
    for bad in ("", "toolong"):
        with pytest.raises(Refused):
            flagbits.add_keywords(table, (bad,), limits)
    assert flagbits.mask_of(table, Flags(5, ("NEW", "none"))) == 5 | 1 << 6
    assert flagbits.names_in(table, 1 << 6) == ("new",)


def test_remap() -> None:
    masks = array("Q", [1, 1 << 5, 1 << 6 | 2, 3 << 5])
    assert flagbits.remap(masks, ("a", "b"), ("a", "b", "c")) == masks
    moved = flagbits.remap(masks, ("a", "b"), ("c", "B", "a"))
    assert list(moved) == [1, 1 << 7, 1 << 6 | 2, 1 << 7 | 1 << 6]
    assert flagbits.remap(array("Q", [1, 2]), ("a",), ("b",)) == array("Q", [1, 2])
