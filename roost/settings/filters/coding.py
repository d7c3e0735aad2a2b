"""Filters that encode and decode octets."""

from __future__ import annotations

import base64
import binascii

from roost.settings.filters.numbers import to_width
from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, whole
from roost.settings.template import Call


def base64_(ask: Evaluator, value: Value, call: Call) -> Value:
    """base64(pad=1, url=0)."""
    data = data_of(value)
    made = base64.urlsafe_b64encode(data) if whole(ask, call, 1, "url", 0) else base64.b64encode(data)
    return Value(made if whole(ask, call, 0, "pad", 1) else made.rstrip(b"="))


def unbase64(ask: Evaluator, value: Value, call: Call) -> Value:
    """unbase64(pad=1, url=0); pad=0 takes input without its padding."""
    data = data_of(value)
    if not whole(ask, call, 0, "pad", 1):
        data += b"=" * (-len(data) % 4)
    if whole(ask, call, 1, "url", 0):
        if b"+" in data or b"/" in data:
            raise FilterError("Invalid base64 data")
        data = data.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return Value(base64.b64decode(data, validate=True), binary=True)
    except binascii.Error:
        raise FilterError("Invalid base64 data") from None


def hexlify(ask: Evaluator, value: Value, call: Call) -> Value:
    return Value(to_width(data_of(value).hex().encode(), whole(ask, call, 0, "width", 0)))


def unhexlify(ask: Evaluator, value: Value, call: Call) -> Value:
    try:
        return Value(binascii.unhexlify(data_of(value)), binary=True)
    except (binascii.Error, ValueError):
        raise FilterError("Invalid hexadecimal data") from None
