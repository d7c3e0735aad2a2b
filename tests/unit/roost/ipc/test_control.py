"""Rows of the control socket: there and back, and what a broken master may send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc.control import Info, ProcessRow, ServiceRow, parse_info, parse_process, parse_service

numbers = st.integers(-1, 2**33)
services = st.builds(
    ServiceRow, st.text(), *[numbers] * 8, st.booleans(), st.booleans(), st.booleans(), numbers, numbers
)
processes = st.builds(ProcessRow, st.text(), *[numbers] * 6, st.sampled_from(["ready", "busy"]), numbers, numbers)


@settings(max_examples=100)
@given(services)
def test_services(row: ServiceRow) -> None:
    assert parse_service(row.fields()) == row
    assert parse_service([*row.fields(), "a field of the future"]) == row


@settings(max_examples=100)
@given(processes)
def test_processes(row: ProcessRow) -> None:
    assert parse_process(row.fields()) == row


def test_info() -> None:
    row = Info("1.0", 7, "/etc/roost.conf", 5, 2, "why")
    assert parse_info(row.fields()) == row


@pytest.mark.parametrize("parse", [parse_service, parse_process, parse_info])
def test_broken_answers(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(Malformed):
        parse([])
    with pytest.raises(Malformed):
        parse(["x"] * 20)
