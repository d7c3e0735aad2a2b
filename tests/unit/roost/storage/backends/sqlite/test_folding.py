"""Snapshots: what is written is read, anything else is seen."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.storage.backends.sqlite.folding import DamagedSnapshot, decode, encode
from roost.storage.columns import Columns
from roost.storage.journal import Entry, Kind, masks_octets
from roost.util.ranges import Ranges


def some() -> Columns:
    columns = Columns(("a", "b"))
    columns.apply(Entry(9, Kind.APPEND, Ranges([(3, 6), (9, 9)]), masks_octets(array("Q", [1, 2, 3, 1 << 62, 0]))))
    columns.apply(Entry(1 << 40, Kind.EXPUNGE, Ranges.of(4)))
    return columns


def test_round_trip() -> None:
    columns = some()
    again = decode(encode(columns), ("a", "b"), 12)
    assert (again.uids, again.flags, again.modseqs) == (columns.uids, columns.flags, columns.modseqs)
    assert (again.modseq, again.uidnext, again.keywords) == (1 << 40, 12, ("a", "b"))
    empty = decode(encode(Columns(modseq=5)), (), 1)
    assert (len(empty.uids), empty.modseq) == (0, 5)


@given(st.data())
@settings(max_examples=200)
def test_every_damage_is_seen(data: st.DataObject) -> None:
    blob = bytearray(encode(some()))
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    else:
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedSnapshot):
        decode(bytes(blob), (), 1)
