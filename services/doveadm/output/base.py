"""Columns and formatters: how a command's rows become text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TextIO


class Column(NamedTuple):
    """One column of a command's result. ``key`` names it in JSON; ``title`` (default: the key) elsewhere."""

    key: str
    title: str = ""
    hide_title: bool = False
    right: bool = False
    expand: bool = False  # gets the spare width of a table
    number: bool = False  # a bare number in JSON

    @property
    def shown(self) -> str:
        return self.title or self.key


class Formatter(Protocol):
    """``begin`` once, ``row`` for each row, ``end`` once (also when there was no row)."""

    def begin(self, columns: Sequence[Column]) -> None: ...

    def row(self, values: Sequence[str]) -> None: ...

    def end(self) -> None: ...


class Screen(NamedTuple):
    """Where a formatter writes, and what it may assume of it."""

    out: TextIO
    width: int = 80
    titles: bool = True
    bold: bool = False


def clean(text: str) -> str:
    """Without control characters, which a terminal would obey and a line would break at."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
