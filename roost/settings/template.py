"""The grammar of ``%{variable | filter(…)}``: template text → parts. Pure; knows no variable and no value.

``%{`` first (``|`` filter)* ``}``, where first is a variable or a filter that makes a value of its own. After each step
one ``+ - * / %`` with a number may follow. ``%%{`` is ``%{`` as text; any other ``%`` is only a ``%``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from roost.errors import ConfigError

MAX_TEMPLATE = 16384
MAX_FILTERS = 50

# A letter or anything beyond ASCII, then also - . / 0-9 : ; and _ (as what is left out: that compiles 50 times faster).
_IDENTIFIER = re.compile(r"[^\x00-@\[-`{-\x7f][^\x00-,<-@\[-^`{-\x7f]*")
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*")
_OPERATION = re.compile(r"[ \t\r\n]*([+\-*/%])[ \t\r\n]*(-?[0-9]{1,19})")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[0-7]{1,3}|[\\'\"trn])")
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "t": "\t", "r": "\r", "n": "\n"}


class Variable(NamedTuple):
    """A name whose value is looked up when the template is used."""

    name: str


Argument = str | int | Variable


class Call(NamedTuple):
    """One filter with its arguments."""

    name: str
    arguments: tuple[Argument, ...]
    named: tuple[tuple[str, Argument], ...]


class Pipeline(NamedTuple):
    """One ``%{…}``: a variable, or None when the first filter makes the value, and the filters in order."""

    source: Variable | None
    filters: tuple[Call, ...]
    text: str


Part = str | Pipeline


@lru_cache(maxsize=2048)
def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises ConfigError saying what is wrong and where."""
    if "%{" not in template:
        return (template,)
    if len(template) > MAX_TEMPLATE:
        raise ConfigError(f"The template is too long (more than {MAX_TEMPLATE} characters)")
    parts: list[Part] = []
    text, pos = "", 0
    while True:
        start = template.find("%{", pos)
        if start < 0:
            text += template[pos:]
            break
        if start > pos and template[start - 1] == "%":
            text += template[pos : start - 1] + "%{"
            pos = start + 2
            continue
        text += template[pos:start]
        if text:
            parts.append(text)
            text = ""
        cursor = _Cursor(template, start + 2)
        parts.append(cursor.pipeline(start))
        pos = cursor.pos
    if text:
        parts.append(text)
    return tuple(parts)


class _Cursor:
    def __init__(self, text: str, pos: int) -> None:
        self.text = text
        self.pos = pos

    def error(self, why: str) -> ConfigError:
        return ConfigError(f"{why} at character {self.pos + 1} of '{self.text[:200]}'")

    def skip(self) -> str:
        """Past white space; the next character, "" at the end."""
        match = _SPACE.match(self.text, self.pos)
        assert match is not None
        self.pos = match.end()
        return self.text[self.pos : self.pos + 1]

    def pipeline(self, start: int) -> Pipeline:
        filters: list[Call] = []
        source: Variable | None = None
        self.skip()
        name = self.identifier()
        if self.skip() == "(":
            filters.append(self.call(name))
        else:
            source = Variable(name)
        self.operation(filters)
        while self.skip() == "|":
            self.pos += 1
            self.skip()
            name = self.identifier()
            filters.append(self.call(name) if self.skip() == "(" else Call(name, (), ()))
            self.operation(filters)
            if len(filters) > MAX_FILTERS:
                raise self.error("Too many filters")
        if self.skip() != "}":
            raise self.error("Expecting '|' or '}'")
        self.pos += 1
        return Pipeline(source, tuple(filters), self.text[start : self.pos])

    def operation(self, filters: list[Call]) -> None:
        match = _OPERATION.match(self.text, self.pos)
        if match:
            self.pos = match.end()
            filters.append(Call("calculate", (match[1], int(match[2])), ()))

    def identifier(self) -> str:
        match = _IDENTIFIER.match(self.text, self.pos)
        if not match:
            raise self.error("Expecting a variable or filter")
        self.pos = match.end()
        return match[0]

    def call(self, name: str) -> Call:
        """From the opening parenthesis to the closing one."""
        self.pos += 1
        plain: list[Argument] = []
        named: list[tuple[str, Argument]] = []
        if self.skip() == ")":
            self.pos += 1
            return Call(name, (), ())
        while True:
            argument = self.argument()
            if isinstance(argument, Variable) and self.skip() == "=":
                self.pos += 1
                self.skip()
                named.append((argument.name, self.argument()))
            else:
                plain.append(argument)
            separator = self.skip()
            if separator not in (",", ")"):
                raise self.error("Expecting ',' or ')'")
            self.pos += 1
            if separator == ")":
                return Call(name, tuple(plain), tuple(named))
            self.skip()

    def argument(self) -> Argument:
        char = self.text[self.pos : self.pos + 1]
        if char in ("'", '"'):
            return self.string(char)
        match = _INTEGER.match(self.text, self.pos)
        if match:
            self.pos = match.end()
            return int(match[0])
        return Variable(self.identifier())

    def string(self, quote: str) -> str:
        self.pos += 1
        made: list[str] = []
        while self.pos < len(self.text):
            char = self.text[self.pos]
            if char == quote:
                self.pos += 1
                return "".join(made)
            if char == "\\":
                match = _ESCAPE.match(self.text, self.pos)
                if not match:
                    raise self.error("Unknown escape sequence")
                made.append(_unescaped(match[1], self.error))
                self.pos = match.end()
                continue
            made.append(char)
            self.pos += 1
        raise self.error("The closing quote is missing")


def _unescaped(escape: str, error: Callable[[str], ConfigError]) -> str:
    if escape in _ESCAPED:
        return _ESCAPED[escape]
    code = int(escape[1:], 16) if escape[0] == "x" else int(escape, 8)
    if code > 255:
        raise error("An octal escape goes up to \\377")
    # One octet, however it stands in text; ``variables.octets`` gives it back as one.
    return chr(code) if code < 128 else chr(0xDC00 + code)
