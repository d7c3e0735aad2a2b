"""Filters on points of time. A timestamp is ``seconds`` or ``seconds.fraction`` since 1970, UTC."""

from __future__ import annotations

import re
import time

from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, number, octets, option
from roost.settings.template import Call

_UNITS = {b"s": 1, b"ms": 1_000, b"us": 1_000_000, b"ns": 1_000_000_000}
_STAMP = re.compile(rb"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?\Z")
MAX_FORMAT = 1000


def epoch(ask: Evaluator, value: Value, call: Call) -> Value:
    """epoch(unit='s'): a timestamp as a whole number of s, ms, us or ns."""
    secs, nanos = _stamp(value)
    unit = _unit(ask, call)
    return Value(b"%d" % (secs * unit + nanos * unit // 1_000_000_000))


def from_epoch(ask: Evaluator, value: Value, call: Call) -> Value:
    """from_epoch(unit='s'): the other way; the result is ``seconds.nanoseconds``."""
    unit = _unit(ask, call)
    secs, rest = divmod(number(data_of(value)), unit)
    return Value(b"%d.%09d" % (secs, rest * (1_000_000_000 // unit)))


def date(ask: Evaluator, value: Value, call: Call) -> Value:
    """date(format, tz='utc'): strftime(3)."""
    form = ask.argument(call.arguments[0])
    if len(form) > MAX_FORMAT:
        raise FilterError("The format is too long")
    return Value(octets(_formatted(value, form.decode("utf-8", "replace"), option(ask, call, 1, "tz"))))


def iso8601(ask: Evaluator, value: Value, call: Call) -> Value:
    """iso8601(tz='utc'): 2026-01-31T23:59:59+0000; in UTC with Z."""
    zone = option(ask, call, 0, "tz")
    return Value(octets(_formatted(value, "%Y-%m-%dT%H:%M:%S%z" if zone == b"local" else "%Y-%m-%dT%H:%M:%SZ", zone)))


def _formatted(value: Value, form: str, zone: bytes | None) -> str:
    secs, _ = _stamp(value)
    if zone not in (None, b"utc", b"gmt", b"local"):
        raise FilterError("Unknown time zone (use utc, gmt or local)")
    try:
        return time.strftime(form, time.localtime(secs) if zone == b"local" else time.gmtime(secs))
    except (ValueError, OverflowError, OSError) as error:
        raise FilterError(f"The time cannot be shown: {error}") from None


def _stamp(value: Value) -> tuple[int, int]:
    match = _STAMP.match(data_of(value))
    if not match:
        raise FilterError("The value is not a UNIX timestamp")
    return int(match[1]), int((match[2] or b"").ljust(9, b"0"))


def _unit(ask: Evaluator, call: Call) -> int:
    unit = option(ask, call, 0, "unit") or b"s"
    if unit not in _UNITS:
        raise FilterError("Unknown unit (use s, ms, us or ns)")
    return _UNITS[unit]
