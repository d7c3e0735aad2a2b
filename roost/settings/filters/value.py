"""What goes through a pipeline, and what a filter is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from roost.settings.template import Argument, Call


class FilterError(Exception):
    """A filter cannot do its work; the text says why. Becomes a ConfigError naming the whole ``%{…}``."""


class Value(NamedTuple):
    """Octets on their way. ``data`` None: the variable ``missing`` is unknown. ``binary``: hex at the end."""

    data: bytes | None
    binary: bool = False
    missing: str = ""
    safe: bool = False
    escaped: bool = False


Injected = Mapping[str, Callable[[list[bytes]], bytes]]
"""Filters whose work is done elsewhere, given to an expansion by its caller: arguments → result, or FilterError."""

NOT_HERE = {"lua_call": "No mail user available", "lua_file": "There are no Lua scripts here"}
"""What the filters of that kind say where nobody does their work."""


class Evaluator:
    """What filters may ask of the expansion they are part of."""

    def argument(self, argument: Argument) -> bytes:
        """The octets of an argument; a variable is looked up. Raises FilterError."""
        raise FilterError("no variables here")

    def variable(self, name: str) -> Value:
        """A variable, known or missing."""
        raise FilterError("no variables here")

    def injected(self, name: str, arguments: list[bytes]) -> bytes:
        """The work of a filter that is done elsewhere. Raises FilterError."""
        raise FilterError(NOT_HERE[name])

    def escape(self, text: str) -> str:
        """The context's escaping."""
        return text


@dataclass(frozen=True)
class Filter:
    """One filter. ``least``/``most``: number of plain arguments; ``named``: names of keyword arguments.

    ``source``: it can stand first, without input (``source_least`` arguments then). ``takes_missing``: it is asked even
    when the variable is not known. ``refused``: why it does not exist here.
    """

    run: Callable[[Evaluator, Value, Call], Value]
    least: int = 0
    most: int = 0
    named: tuple[str, ...] = ()
    source: bool = False
    source_extra: int = 0
    takes_missing: bool = False
    refused: str = ""

    def check(self, call: Call, *, first: bool) -> None:
        """Raises FilterError for a wrong place or wrong arguments."""
        if self.refused:
            raise FilterError(self.refused)
        if first and not self.source:
            raise FilterError("This filter needs a value before it")
        extra = self.source_extra if first else 0
        count = len(call.arguments)
        if count < self.least + extra:
            raise FilterError("Missing parameters")
        if count > self.most + extra:
            raise FilterError("Too many positional parameters")
        for name, _ in call.named:
            if name not in self.named:
                raise FilterError(f"Unsupported key '{name}'")


def octets(text: str) -> bytes:
    """Text as it goes through filters; an octet that is not UTF-8 (``\\xHH``) stays that octet."""
    return text.encode("utf-8", "surrogateescape")


def text_of(data: bytes) -> str:
    """Octets as text at the end; what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def option(ask: Evaluator, call: Call, index: int, name: str) -> bytes | None:
    """An argument by position or by name; None if it is not given."""
    if index >= 0 and index < len(call.arguments):
        return ask.argument(call.arguments[index])
    for key, value in call.named:
        if key == name:
            return ask.argument(value)
    return None


def number(data: bytes, what: str = "value") -> int:
    """A decimal 64-bit number. Raises FilterError."""
    text = data.strip()
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or len(digits) > 19:
        raise FilterError(f"The {what} is not a number")
    return int(text)


def whole(ask: Evaluator, call: Call, index: int, name: str, default: int) -> int:
    """A number argument by position or by name."""
    given = option(ask, call, index, name)
    return default if given is None else number(given, name)


def data_of(value: Value) -> bytes:
    """The octets; for filters that are never asked without any."""
    if value.data is None:
        raise FilterError(f"Unknown variable '{value.missing}'")
    return value.data
