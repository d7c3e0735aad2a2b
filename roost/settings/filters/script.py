"""Filters that are Lua functions: ``lua_call`` of the user's script and ``lua_file``. Their work is done elsewhere
(``roost.lua.filters``); here are their forms."""

from __future__ import annotations

from roost.settings.filters.value import Evaluator, Value
from roost.settings.template import Call


def lua(ask: Evaluator, value: Value, call: Call) -> Value:
    """name(arguments…, value)"""
    arguments = [ask.argument(one) for one in call.arguments]
    if value.data is not None:
        arguments.append(value.data)
    return Value(ask.injected(call.name, arguments))
