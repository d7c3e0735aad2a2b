"""TOML drop-ins: the one door to ``toml`` (writing) and ``tomllib`` (reading).

A table is a section, a table of tables one with names: ``[service.imap.inet_listener.imaps]``; ``[protocol.imap]``;
``[remote."10.0.0.0/8"]``. Booleans, numbers and strings are values, an array is a list, a table where a list setting
stands is its block form. Strings are literal: ``$SET:`` means nothing in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from roost.errors import ConfigError
from roost.settings.readers.statements import Kind, Statement
from roost.settings.values import quote_item

NAMED = frozenset(
    {
        *("service", "unix_listener", "fifo_listener", "inet_listener", "passdb", "userdb", "dict", "pgsql"),
        *("namespace", "mailbox"),
        *("protocol", "local", "local_name", "remote"),
    }
)
"""Tables of tables: their keys are section names."""

MAX_DEPTH = 32
_HEADER = re.compile(r"\s*\[{1,2}\s*(.+?)\s*\]{1,2}\s*(?:#.*)?\Z")
_ASSIGNMENT = re.compile(r"""\s*([A-Za-z0-9_.\-"' ]+?)\s*=""")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read(text: str, file: str) -> list[Statement]:
    """Every statement of a TOML file. Raises ConfigError naming the line."""
    import tomllib  # only configurations with a TOML file pay for it

    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _AT_LINE.search(str(error))
        line = int(match[1]) if match else text.rstrip().count("\n") + 1
        raise ConfigError(f"Not valid TOML: {error}", file=file, line=line) from None
    except RecursionError:
        raise ConfigError("Tables or arrays nest too deep", file=file) from None
    return list(_table(tree, (), _line_numbers(text), file))


def write(tree: Mapping[str, Any]) -> str:
    """A tree of tables as TOML text (``doveconf -F toml``)."""
    import toml  # only doveconf -F toml pays for it

    return toml.dumps(tree)


def _line_numbers(text: str) -> dict[tuple[str, ...], int]:
    """Where each table and key is written, as far as a look at single lines can tell; for messages only."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.match(line):
            table = _split_key(match[1])
            lines.setdefault(table, number)
        elif match := _ASSIGNMENT.match(line):
            lines.setdefault(table + _split_key(match[1]), number)
    return lines


def _split_key(text: str) -> tuple[str, ...]:
    parts = re.findall(r'"([^"]*)"|\'([^\']*)\'|([^.\s"\']+)', text)
    return tuple(a or b or c for a, b, c in parts)


def _table(
    table: Mapping[str, Any], path: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str
) -> Iterator[Statement]:
    if len(path) > MAX_DEPTH:
        raise ConfigError("Tables nest too deep", file=file, line=_line(lines, path))
    # Values before tables, as in the other language one would write them; within each, the order of the file.
    ordered = sorted(table.items(), key=lambda item: isinstance(item[1], dict))
    for key, value in ordered:
        here = (*path, key)
        line = _line(lines, here)
        if not isinstance(value, dict):
            yield Statement(Kind.SET, key, _text(value, key, file, line), file, line, quoted=isinstance(value, str))
        elif key in NAMED:
            for name, inner in value.items():
                there = (*here, name)
                line = _line(lines, there)
                if not isinstance(inner, dict):
                    raise ConfigError(
                        f"{key} needs a table for each name: [{key}.NAME]", file=file, line=line, key=name
                    )
                yield from _section(key, name, inner, there, lines, file)
        else:
            yield from _section(key, "", value, here, lines, file)


def _section(
    key: str, name: str, table: Mapping[str, Any], path: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str
) -> Iterator[Statement]:
    line = _line(lines, path)
    yield Statement(Kind.OPEN, key, name, file, line)
    yield from _table(table, path, lines, file)
    yield Statement(Kind.CLOSE, "", "", file, line)


def _line(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _text(value: Any, key: str, file: str, line: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return " ".join(quote_item(str(item)) for item in value)
    raise ConfigError(
        f"A {type(value).__name__} cannot be a setting's value (use a string, integer, boolean or an array of strings)",
        file=file,
        line=line,
        key=key,
    )
