"""Dates: INTERNALDATE and SEARCH dates (RFC 9051 §9) and the Date field of messages (RFC 5322 §3.3, §4.3).

Times are seconds since 1970-01-01 UTC, days are days since then. No clock and no time zone of this machine is
consulted. Client text may have the day with one digit, with a leading zero or a leading space. Reading a message's
Date never raises.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_EPOCH: Final = date(1970, 1, 1).toordinal()

DATE: Final = re.compile(rb"([ 0-3]?[0-9])-([A-Za-z]{3})-([0-9]{4})")
DATE_TIME: Final = re.compile(DATE.pattern + rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})")

# RFC 5322 date-time with the obsolete forms: no day of week, two-digit years, no seconds, names of zones.
_MAIL_DATE = re.compile(
    rb"\s*(?:[A-Za-z]{2,9}\.?\s*,?\s*)?([0-9]{1,2})[\s-]+([A-Za-z]{3})[a-z]*\.?[\s,-]+([0-9]{2,4})"
    rb"(?:[\s,]+([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2}))?(?:\s*([+-][0-9]{4}|[A-Za-z]{1,5})(?![0-9A-Za-z]))?)?"
)
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*+\)", re.DOTALL)
_LONGEST_DATE_OCTETS = 200  # more than any real date; a flood of comments is not looked at

# RFC 5322 §4.3; the military letters and unknown names mean +0000.
_ZONE_HOURS: Final = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7}


def day_number(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01, or None when there is no such day."""
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def day_of(match: re.Match[bytes]) -> int | None:
    """The day a match of ``DATE`` or ``DATE_TIME`` names."""
    day, month, year = match.group(1, 2, 3)
    number = _MONTH_NUMBERS.get(month.lower())
    return None if number is None else day_number(int(year), number, int(day))


def secs_of(match: re.Match[bytes]) -> int | None:
    """The moment a match of ``DATE_TIME`` names; a leap second counts as the next one."""
    day = day_of(match)
    hours, minutes, secs, sign, zone_hours, zone_minutes = match.group(4, 5, 6, 7, 8, 9)
    if day is None or hours > b"23" or minutes > b"59" or secs > b"60" or zone_minutes > b"59":
        return None
    zone = int(zone_hours) * 3600 + int(zone_minutes) * 60
    local = day * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(secs)
    return local + zone if sign == b"-" else local - zone


def internal_date(secs: int) -> bytes:
    """The text of INTERNALDATE in UTC, without quotes: ``05-Jan-2026 10:00:00 +0000`` (years 1 to 9999)."""
    days, rest = divmod(secs, 86400)
    ordinal = days + _EPOCH
    if not 1 <= ordinal <= _LAST_ORDINAL:
        ordinal, rest = (1, 0) if ordinal < 1 else (_LAST_ORDINAL, 86399)
    when = date.fromordinal(ordinal)
    return b"%02d-%s-%04d %02d:%02d:%02d +0000" % (
        when.day,
        MONTHS[when.month - 1],
        when.year,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )


_LAST_ORDINAL: Final = date.max.toordinal()


def parse_internal_date(text: bytes) -> int | None:
    """The moment of an INTERNALDATE text without quotes, or None."""
    match = DATE_TIME.fullmatch(text)
    return secs_of(match) if match else None


def mail_date(value: bytes) -> tuple[int, int] | None:
    """``(secs, day)`` of a Date field's value, or None when it is no date.

    ``secs`` is the moment; ``day`` the day as written, in the sender's own zone, which SENTON and its like compare.
    """
    text = value[:_LONGEST_DATE_OCTETS]
    if b"(" in text:
        text = _COMMENT.sub(b" ", text)
    match = _MAIL_DATE.match(text)
    if match is None:
        return None
    day_text, month, year_text, hours, minutes, secs, zone = match.groups()
    number = _MONTH_NUMBERS.get(month.lower())
    year = int(year_text)
    if len(year_text) == 2:
        year += 2000 if year < 50 else 1900
    elif len(year_text) == 3:
        year += 1900
    day = None if number is None else day_number(year, number, int(day_text))
    if day is None:
        return None
    if hours is None:
        return day * 86400, day
    if int(hours) > 23 or minutes > b"59" or (secs is not None and secs > b"60"):
        return None
    local = day * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(secs or 0)
    return local - _zone_secs(zone), day


def _zone_secs(zone: bytes | None) -> int:
    if zone is None:
        return 0
    if zone[0] in b"+-":
        secs = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
        return -secs if zone[0] == 0x2D else secs
    return _ZONE_HOURS.get(zone.upper(), 0) * 3600
