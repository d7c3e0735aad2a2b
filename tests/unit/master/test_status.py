"""Status records: believed only as far as they can be."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from master.states import Event
from master.status import READ_OCTETS, Report, decode
from roost.proc.contract import RETIRED, STATUS


def test_records() -> None:
    data = STATUS.pack(10, 1, 5) + STATUS.pack(11, 2, 0) + STATUS.pack(12, 3, RETIRED)
    assert decode(data) == (
        [Report(10, 1, 5, Event.AVAILABLE), Report(11, 2, 0, Event.FULL), Report(12, 3, 0, Event.RETIRED)],
        0,
    )


def test_a_torn_record_is_counted() -> None:
    assert decode(STATUS.pack(10, 1, 5) + b"abc") == ([Report(10, 1, 5, Event.AVAILABLE)], 3)
    assert decode(b"") == ([], 0)


def test_a_record_is_atomic_on_a_pipe_and_reads_hold_whole_ones() -> None:
    assert STATUS.size == 12
    assert READ_OCTETS % STATUS.size == 0


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_never_raises(data: bytes) -> None:
    reports, torn = decode(data)
    assert len(reports) * STATUS.size + torn == len(data)
