"""``-o key=value``: overrides by path, ``service/imap/process_limit=4``, as statements of the strongest level.

A ``/`` inside a name is written ``\\s``. ``key+=a b`` adds members to a list, ``namespace+=name`` opens an element,
``key/member=yes`` sets one member. ``@label=name`` redirects a group that is used in the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from roost.errors import ConfigError
from roost.settings.readers.statements import Kind, Statement
from roost.settings.registry import CONNECTION_FILTERS
from roost.settings.schema import LIST_FILTERS, NAMED_FILTERS
from roost.settings.values import split_list

SOURCE = "-o"
"""Stands where the name of a file stands otherwise."""

_OVERRIDE = re.compile(r"(@?[^=+]+)(\+?=)(.*)\Z", re.DOTALL)


def statements(overrides: Iterable[str]) -> tuple[list[Statement], dict[str, str]]:
    """(statements, redirected groups by label). Raises ConfigError."""
    made: list[Statement] = []
    redirects: dict[str, str] = {}
    for text in overrides:
        match = _OVERRIDE.match(text)
        if not match:
            raise ConfigError(f"'{text}' must be in path=value format", file=SOURCE)
        path, operator, value = match[1].strip(), match[2], match[3].strip()
        label = path.rpartition("/")[2]
        if label.startswith("@"):
            redirects[label[1:]] = value
        else:
            made += _one(path, operator == "+=", value)
    return made, redirects


def _one(path: str, append: bool, value: str) -> list[Statement]:
    parts = [part.replace("\\s", "/") for part in path.split("/")]
    opened: list[Statement] = []
    at = 0
    while at < len(parts) - 1:
        name = parts[at]
        if name in LIST_FILTERS or name in CONNECTION_FILTERS:
            opened.append(Statement(Kind.OPEN, name, parts[at + 1], SOURCE, 0))
            at += 2
        elif name in NAMED_FILTERS:
            opened.append(Statement(Kind.OPEN, name, "", SOURCE, 0))
            at += 1
        else:
            break
    if at >= len(parts):
        raise ConfigError(f"'{path}' names a section: the name of a setting is missing", file=SOURCE)
    closed = [Statement(Kind.CLOSE, "", "", SOURCE, 0)] * len(opened)
    return [*opened, *_setting(path, parts[at:], append, value), *closed]


def _setting(path: str, parts: list[str], append: bool, value: str) -> list[Statement]:
    key = parts[0]
    close = Statement(Kind.CLOSE, "", "", SOURCE, 0)
    if append:
        if key in LIST_FILTERS:
            return [s for n in split_list(value) for s in (Statement(Kind.OPEN, key, n, SOURCE, 0), close)]
        members = [Statement(Kind.SET, item, "yes", SOURCE, 0) for item in split_list(value)]
        return [Statement(Kind.OPEN, key, "", SOURCE, 0), *members, close]
    if len(parts) == 1:
        return [Statement(Kind.SET, key, value, SOURCE, 0)]
    if len(parts) == 2:
        return [Statement(Kind.OPEN, key, "", SOURCE, 0), Statement(Kind.SET, parts[1], value, SOURCE, 0), close]
    raise ConfigError(f"Unknown filter path: {path}", file=SOURCE, key=key)
