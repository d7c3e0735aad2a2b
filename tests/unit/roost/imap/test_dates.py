"""Dates of the protocol and of messages."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.imap import dates


@given(st.integers(-62135596800, 253402300799))
def test_internal_date_round_trip(secs: int) -> None:
    text = dates.internal_date(secs)
    assert dates.parse_internal_date(text) == secs
    assert len(text) == 26


def test_internal_dates_out_of_the_calendar_are_clamped() -> None:
    assert dates.internal_date(10**15) == b"31-Dec-9999 23:59:59 +0000"
    assert dates.internal_date(-(10**15)) == b"01-Jan-0001 00:00:00 +0000"


@pytest.mark.parametrize(
    ("text", "secs"),
    [
        (b"01-Jan-1970 00:00:00 +0000", 0),
        (b" 1-jan-1970 01:00:00 +0100", 0),
        (b"1-JAN-1970 00:00:00 -0130", 5400),
        (b"31-Dec-2016 23:59:60 +0000", 1483228800),
        (b"29-Feb-2024 00:00:00 +0000", 1709164800),
        (b"29-Feb-2023 00:00:00 +0000", None),
        (b"01-Jan-1970 24:00:00 +0000", None),
        (b"01-Jan-1970 00:60:00 +0000", None),
        (b"01-Jan-1970 00:00:00 +0060", None),
        (b"01-Jan-0000 00:00:00 +0000", None),
        (b"01-Jan-1970 00:00:00", None),
        (b"", None),
    ],
)
def test_internal_dates(text: bytes, secs: int | None) -> None:
    assert dates.parse_internal_date(text) == secs


@given(st.integers(-2_000_000_000, 4_000_000_000), st.integers(-1200, 1200))
def test_mail_dates_as_the_standard_library_writes_them(secs: int, zone_minutes: int) -> None:
    when = datetime.fromtimestamp(secs, UTC)
    sign = "-" if zone_minutes < 0 else "+"
    zone = f"{sign}{abs(zone_minutes) // 60:02d}{abs(zone_minutes) % 60:02d}"
    text = format_datetime(when)[:-5] + zone
    found = dates.mail_date(text.encode())
    assert found is not None
    assert found[0] == secs - zone_minutes * 60 == parsedate_to_datetime(text).timestamp()
    assert found[1] == secs // 86400  # the day as written


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"Sat, 01 Feb 2007 01:02:03 +0200", (1170284523, 13545)),
        (b"1 Feb 2026 10:00 GMT", (1769940000, 20485)),
        (b"1 Feb 26 10:00:00 EST", (1769958000, 20485)),
        (b"Sun, 1 Feb 2026 10:00:00 +0000 (UTC)", (1769940000, 20485)),
        (b"Sun (what a day), 1 (first) Feb 2026 10:00:00 Z", (1769940000, 20485)),
        (b"Sunday, 01-Feb-26 10:00:00 GMT", (1769940000, 20485)),
        (b" Sun,\r\n 1 Feb 2026\r\n 10:00:00 +0000", (1769940000, 20485)),
        (b"1 Feb 2026", (1769904000, 20485)),
        (b"1 Feb 126 10:00:00 +0000", (1769940000, 20485)),
        (b"1 Feb 95 00:00:00 +0000", (791596800, 9162)),
        (b"31 Feb 2026 10:00:00 +0000", None),
        (b"1 Foo 2026", None),
        (b"yesterday", None),
        (b"", None),
        (b"(" * 1000, None),
        (b"\xff\x00", None),
    ],
)
def test_mail_dates(text: bytes, wanted: tuple[int, int] | None) -> None:
    assert dates.mail_date(text) == wanted


@given(st.binary(max_size=80))
def test_no_octets_raise(text: bytes) -> None:
    dates.mail_date(text)
    dates.mail_date(b"1 Feb 2026 " + text)
    dates.parse_internal_date(text)
