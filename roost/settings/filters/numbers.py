"""Filters that count: arithmetic, number bases, octets as numbers."""

from __future__ import annotations

from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, number, whole
from roost.settings.template import Call

MAX_WIDTH = 256
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


def calculate(ask: Evaluator, value: Value, call: Call) -> Value:
    """calculate(operator, number), what ``%{x + 1}`` means. Binary input counts as its first eight octets."""
    data = data_of(value)
    left = int.from_bytes(data[:8], "big") if value.binary else number(data)
    operator = ask.argument(call.arguments[0])
    right = number(ask.argument(call.arguments[1]), "operand")
    match operator:
        case b"+":
            result = left + right
        case b"-":
            result = left - right
        case b"*":
            result = left * right
        case b"/" | b"%":
            if right == 0:
                raise FilterError("Division by zero")
            result = left // right if operator == b"/" else left % right
        case _:
            raise FilterError("Unknown operator (use one of + - * / %)")
    if not -(1 << 63) <= result < 1 << 64:
        raise FilterError("The result is out of range")
    return Value(b"%d" % result)


def hex_(ask: Evaluator, value: Value, call: Call) -> Value:
    """A decimal number in hexadecimal; ``width`` pads with 0 and cuts (negative: at the other side)."""
    found = number(data_of(value))
    if found < 0:
        raise FilterError("The value is negative")
    return Value(to_width(b"%x" % found, whole(ask, call, 0, "width", 0)))


def unhex(ask: Evaluator, value: Value, call: Call) -> Value:
    """A hexadecimal number in decimal."""
    data = data_of(value)
    if not data or len(data) > 16 or not _HEX_DIGITS.issuperset(data):
        raise FilterError("The value is not a hexadecimal number")
    return Value(b"%d" % int(data, 16))


def to_width(digits: bytes, width: int) -> bytes:
    if abs(width) > MAX_WIDTH:
        raise FilterError(f"The width must be at most {MAX_WIDTH}")
    if width > 0:
        return digits.rjust(width, b"0")[-width:]
    if width < 0:
        return digits.ljust(-width, b"0")[:-width]
    return digits


def truncate(ask: Evaluator, value: Value, call: Call) -> Value:
    """truncate(n): the first n octets; truncate(bits=n): the first n bits, shifted to the right."""
    data = data_of(value)
    if call.named:
        if call.arguments:
            raise FilterError("Give octets or bits, not both")
        bits = whole(ask, call, -1, "bits", 0)
        if bits < 0:
            raise FilterError("The number of bits is negative")
        kept = data[: (bits + 7) // 8]
        if len(kept) * 8 <= bits:
            return value._replace(data=kept)
        return value._replace(data=(int.from_bytes(kept, "big") >> (len(kept) * 8 - bits)).to_bytes(len(kept), "big"))
    if not call.arguments:
        raise FilterError("Missing parameters")
    count = whole(ask, call, 0, "", 0)
    if count < 0:
        raise FilterError("The number of octets is negative")
    return value._replace(data=data[:count])


def lenumber(ask: Evaluator, value: Value, call: Call) -> Value:
    return _octets_as_number(value, "little")


def benumber(ask: Evaluator, value: Value, call: Call) -> Value:
    return _octets_as_number(value, "big")


def _octets_as_number(value: Value, order: str) -> Value:
    data = data_of(value)
    if len(data) > 8:
        raise FilterError("The value is longer than eight octets")
    return Value(b"%d" % int.from_bytes(data, "little" if order == "little" else "big"))
