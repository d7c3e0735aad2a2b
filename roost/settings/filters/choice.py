"""Filters that choose a value: ``default``, ``if``, ``switch``, ``lookup`` and ``literal``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from roost.settings.filters.text import MAX_REGEXP_INPUT, compiled
from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, number
from roost.settings.template import Call


def default(ask: Evaluator, value: Value, call: Call) -> Value:
    """default(v=''): in place of a missing or empty value."""
    if value.data:
        return value
    return Value(ask.argument(call.arguments[0]) if call.arguments else b"")


def literal(ask: Evaluator, value: Value, call: Call) -> Value:
    return Value(ask.argument(call.arguments[0]))


def lookup(ask: Evaluator, value: Value, call: Call) -> Value:
    """The variable whose name is the argument."""
    return ask.variable(ask.argument(call.arguments[0]).decode("utf-8", "replace"))


def if_(ask: Evaluator, value: Value, call: Call) -> Value:
    """if(left, op, right, yes, no), or value | if(op, right, yes, no). Only the chosen one is looked up."""
    arguments = call.arguments
    if len(arguments) == 5:
        left, arguments = ask.argument(arguments[0]), arguments[1:]
    else:
        left = data_of(value)
    chosen = arguments[2] if holds(left, ask.argument(arguments[0]), ask.argument(arguments[1])) else arguments[3]
    return Value(ask.argument(chosen))


def switch(ask: Evaluator, value: Value, call: Call) -> Value:
    """switch(left, op, case, result, …, default), or value | switch(op, case, result, …, default)."""
    arguments = call.arguments
    if value.data is None:
        left, arguments = ask.argument(arguments[0]), arguments[1:]
    else:
        left = data_of(value)
    operator, cases = ask.argument(arguments[0]), arguments[1:]
    if len(cases) % 2 == 0:
        raise FilterError("Missing parameters (each case needs a result, and there must be a default)")
    for position in range(0, len(cases) - 1, 2):
        if holds(left, operator, ask.argument(cases[position])):
            return Value(ask.argument(cases[position + 1]))
    return Value(ask.argument(cases[-1]))


def holds(left: bytes, operator: bytes, right: bytes) -> bool:
    """One comparison. Raises FilterError for an unknown operator or numbers that are none."""
    name = operator.decode("utf-8", "replace")
    if name in _NUMERIC:
        return _NUMERIC[name](number(left), number(right))
    if name in _STRINGS:
        return _STRINGS[name](left, right)
    if name in ("*", "!*"):
        pattern = fnmatch.translate(right.decode("latin-1").replace("[", "[[]"))
        return (re.match(pattern, left.decode("latin-1")) is not None) == (name == "*")
    if name in ("~", "!~"):
        if len(left) > MAX_REGEXP_INPUT:
            raise FilterError(f"The input of a regular expression is too long (more than {MAX_REGEXP_INPUT} octets)")
        found = compiled(right.decode("latin-1")).search(left.decode("latin-1"))
        return (found is not None) == (name == "~")
    raise FilterError(f"Unknown operator '{name}' (use one of {' '.join([*_NUMERIC, *_STRINGS])} * !* ~ !~)")


_NUMERIC: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_STRINGS: dict[str, Callable[[bytes, bytes], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
