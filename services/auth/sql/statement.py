"""Queries as Dovecot has them, made into statements with bound parameters.

A ``%{…}`` becomes a parameter wherever it stands, and its value never becomes part of the statement. A quoted text with
variables inside (``'u-%{user | lower}@x'``) becomes one parameter, whose value is the text put together. Outside of
quotes a variable is a parameter too. Where no parameter can stand (part of a name, a table's name, a name in double
quotes, a comment) the statement is refused when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from roost.auth.api import Query
from roost.errors import ConfigError, Unavailable
from roost.settings.template import Part, Pipeline, parse
from roost.settings.variables import check, expand, variables_of
from services.auth.known_variables import dependencies, known_variables, variables_for

MARK = "\0"  # stands for a variable while a query is read; no setting may hold it
NO_VALUE_AFTER = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "COLLATE", "AS", "SCHEMA"})

_WORD = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*"
_COMMON = r"(?P<line>--[^\n]*)|(?P<block>/\*.*?\*/)|(?P<text>'(?:[^']|'')*')|(?P<name>\"(?:[^\"]|\"\")*\""
_REST = rf"|(?P<word>{_WORD})|(?P<number>[0-9][0-9A-Za-z_.]*)|(?P<mark>{MARK})|(?P<other>.)"


@dataclass(frozen=True)
class Dialect:
    """What differs between engines. ``own``: what would be a parameter of the query's own."""

    name: str
    token: re.Pattern[str]
    place: Callable[[int], str]
    own: re.Pattern[str]


SQLITE = Dialect(
    "sqlite",
    re.compile(_COMMON + r"|`(?:[^`]|``)*`|\[[^\]]*\])" + _REST, re.DOTALL),
    lambda number: f"?{number}",
    re.compile(r"\?|[:@$#](?=[A-Za-z_0-9])"),
)
PGSQL = Dialect(
    "pgsql",
    re.compile(
        rf"(?P<dollar>\$(?P<tag>(?:{_WORD.replace('$', '')})?)\$.*?\$(?P=tag)\$)"
        r"|(?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')|" + _COMMON + ")" + _REST,
        re.DOTALL,
    ),
    lambda number: f"${number}",
    re.compile(r"\$(?=[0-9])"),
)


@dataclass(frozen=True)
class Statement:
    """``text`` with placeholders, and what each parameter is made of. ``variables``: as ``Passdb.variables``."""

    text: str
    parameters: tuple[tuple[Part, ...], ...]
    names: frozenset[str]
    variables: frozenset[str] | None

    def values(self, query: Query, more: Mapping[str, str] | None = None) -> list[str] | None:
        """The parameters' values; None: one of them is no text that a database could hold, so nothing matches it.

        Raises Unavailable: a value cannot be made.
        """
        variables = variables_for(query, self.names)
        if more:
            variables.update(more)
        try:
            made = [
                "".join(part if isinstance(part, str) else expand(part.text, variables) for part in parts)
                for parts in self.parameters
            ]
        except ConfigError as error:
            raise Unavailable("Temporary authentication failure.", detail=f"query: {error.why}") from error
        for value in made:
            if "\0" in value:
                return None
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                return None
        return made


def prepare(template: str, dialect: Dialect, key: str, more: Iterable[str] = ()) -> Statement:
    """Read a query. ``more``: variables that it may use beside those of a ``Query``. Raises ConfigError."""
    try:
        return _prepared(template.strip(), dialect, frozenset(more))
    except ConfigError as error:
        raise ConfigError(error.why, key=key) from None


def _prepared(template: str, dialect: Dialect, more: frozenset[str]) -> Statement:
    if not template:
        raise ConfigError("The query is missing")
    if MARK in template:
        raise ConfigError("A NUL character is not allowed in a query")
    check(template)
    parts = parse(template)
    pipelines = [part for part in parts if isinstance(part, Pipeline)]
    for pipeline in pipelines:
        known_variables(pipeline, names=more)
    text = "".join(MARK if isinstance(part, Pipeline) else part for part in parts).rstrip("; \t\r\n")
    waiting = iter(pipelines)
    made: list[str] = []
    parameters: list[tuple[Part, ...]] = []

    def parameter(*found: Part) -> None:
        parameters.append(found)
        made.append(dialect.place(len(parameters)))

    word = ""
    for match in dialect.token.finditer(text):
        kind, token = match.lastgroup or "", match[0]
        around = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if kind == "tag":
            kind = "dollar"
        if kind == "mark":
            pipeline = next(waiting)
            if any(_joins(character) for character in around) or word in NO_VALUE_AFTER:
                raise ConfigError(
                    f"{pipeline.text} stands where no value can stand: names of tables and columns cannot be variables"
                )
            parameter(pipeline)
        elif kind == "text" and MARK in token:
            if _joins(around[0]):
                raise ConfigError(f"a variable cannot stand in {around[0]}'…': write a plain '…'")
            parameter(*_inside(token[1:-1].replace("''", "'"), waiting))
        elif MARK in token:
            raise ConfigError(f"{next(waiting).text} stands in a {_PLACES.get(kind, kind)}, where no value can stand")
        elif kind == "block" and "/*" in token[2:]:
            raise ConfigError("a comment inside a comment is not allowed")
        elif token in ("'", '"', "`", "["):
            if not (token == "[" or (token == "`" and dialect is PGSQL)):
                raise ConfigError(f"a quote ({token}) is not closed")
            made.append(token)
        elif token == ";":
            raise ConfigError("only one statement is possible")
        elif dialect.own.match(text, match.start()) and kind == "other":
            raise ConfigError(f"'{token}' begins a parameter of its own: write the variable itself")
        else:
            made.append(token)
        if not token.isspace() and kind not in ("line", "block"):
            word = token.upper() if kind == "word" else ""
    names = frozenset(name for pipeline in pipelines for name in variables_of(pipeline.text))
    return Statement("".join(made), tuple(parameters), names, dependencies(names))


_PLACES = {
    "name": "quoted name (texts stand in single quotes)",
    "line": "comment",
    "block": "comment",
    "dollar": "$$-quoted text",
    "escaped": "text of the form E'…'",
}


def _joins(character: str) -> bool:
    """Whether a name, a number or a quote goes on with this character."""
    return character.isalnum() or (character != "" and character in "_$.&\"'`" + MARK) or character >= "\x80"


def _inside(text: str, waiting: Iterable[Pipeline]) -> list[Part]:
    pipelines = iter(waiting)
    made: list[Part] = []
    for index, piece in enumerate(text.split(MARK)):
        if index:
            made.append(next(pipelines))
        if piece:
            made.append(piece)
    return made
