"""Return-Path, Delivered-To and Received, and their date."""

from __future__ import annotations

from dataclasses import replace
from email.utils import parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st

from roost.smtp.trace import Trace, date_time, fields

TRACE = Trace(
    sender="s@x",
    recipient="u1@y",
    helo="mx.example",
    remote_ip="192.0.2.1",
    hostname="host.example",
    protocol="LMTP",
    id="AbC",
    date="Tue, 01 Jul 2025 10:00:00 +0000",
)


def test_all() -> None:
    assert fields(TRACE) == (
        b"Return-Path: <s@x>\r\n"
        b"Delivered-To: u1@y\r\n"
        b"Received: from mx.example ([192.0.2.1])\r\n"
        b"\tby host.example with LMTP\r\n"
        b"\tid AbC\r\n"
        b"\t(envelope-from <s@x>)\r\n"
        b"\tfor <u1@y>; Tue, 01 Jul 2025 10:00:00 +0000\r\n"
    )


def test_several_recipients_do_not_learn_of_each_other() -> None:
    text = fields(replace(TRACE, name_recipient=False))
    assert b"Delivered-To: u1@y\r\n" in text
    assert b"for <" not in text
    assert b"(envelope-from <s@x>); Tue" in text


def test_variants() -> None:
    assert fields(replace(TRACE, sender="", received=False, recipient="")) == b"Return-Path: <>\r\n"
    assert b"from mx.example\r\n\tby" in fields(replace(TRACE, remote_ip=""))
    assert b"([IPv6:2001:db8::1])" in fields(replace(TRACE, remote_ip="2001:db8::1"))
    assert "Return-Path: <jörg@x>\r\n".encode() in fields(replace(TRACE, sender="jörg@x"))


@given(st.integers(0, 4_000_000_000))
def test_date_round_trip(utc_secs: int) -> None:
    assert parsedate_to_datetime(date_time(utc_secs)).timestamp() == utc_secs
