"""The tree of what the files say: assignments with their place, and how the value that holds is found.

An assignment knows where it stands (``path``: the filters around it; ``conditions``: the connection filters), where it
was written, and its level. For a lookup those that match are ordered by level, number of filters, specificity of the
connection filters and order of writing: the last one wins, a list is folded from the first to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from roost.settings.connections import ALWAYS, Conditions, Connection, matches
from roost.settings.fields import BOOLLIST, LISTS, NETS, STRLIST, Spec
from roost.settings.registry import entries
from roost.settings.schema import LIST_FILTERS
from roost.settings.values import format_value, member, parse_value

Path = tuple[tuple[str, str], ...]
"""Filters from the outside in: (filter, name), the name "" for a named filter."""

DEFAULT, GROUP, FILE, USER, OVERRIDE = 0, 1, 2, 4, 5
"""Levels, weakest first."""


class Op(Enum):
    """``SET`` a value, or for lists ``ADD`` and ``REMOVE`` one member (a strlist's member with its value)."""

    SET = "set"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of a file. ``text`` is the value after expansion, ``written`` as it stands in the file."""

    key: str
    op: Op
    item: str
    text: str
    written: str
    quoted: bool
    file: str
    line: int
    level: int
    order: int
    path: Path
    conditions: Conditions

    def rank(self) -> tuple[object, ...]:
        lists = sum(name in LIST_FILTERS for name, _ in self.path)
        return (self.level, lists, len(self.path) - lists, self.conditions.specificity, self.order)


@dataclass(frozen=True, slots=True)
class Block:
    """A list filter's element was opened here: ``path`` ends with it."""

    path: Path
    conditions: Conditions
    file: str
    line: int
    level: int
    order: int


@dataclass(frozen=True)
class Context:
    """For whom a value is looked up."""

    path: Path = ()
    connection: Connection = field(default_factory=Connection)


@dataclass(frozen=True)
class Scope:
    """A place in the files: for it, what stands there or further out holds (``$SET:``)."""

    path: Path
    conditions: Conditions


@dataclass
class Tree:
    """All assignments by key and all opened elements. Plain data: it can be pickled."""

    assignments: dict[str, list[Assignment]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def add(self, assignment: Assignment) -> None:
        self.assignments.setdefault(assignment.key, []).append(assignment)

    def all(self) -> Iterator[Assignment]:
        for found in self.assignments.values():
            yield from found

    def candidates(self, key: str, where: Context | Scope) -> list[Assignment]:
        """The assignments of a key that hold in a context, or at a place of the files; the strongest last."""
        found = [
            one
            for one in self.assignments.get(key, ())
            if _holds(one.conditions, where) and is_subsequence(one.path, where.path)
        ]
        if len(found) > 1:
            found.sort(key=Assignment.rank)
        return found

    def value(self, spec: Spec, context: Context) -> Any:
        """The typed value that holds. Raises ValueError only for what ``check`` would have refused."""
        found = self.candidates(spec.key, context)
        if spec.type in LISTS:
            if not found and spec.inherit:
                return self.value(entries()[spec.inherit].spec, context)
            return fold(spec, found)
        if found:
            return parse_value(spec, found[-1].text)
        if spec.inherit:
            return self.value(entries()[spec.inherit].spec, context)
        return spec.default

    def text(self, spec: Spec, where: Context | Scope) -> str:
        """The value that holds as text: as it was given, or canonical for defaults and lists."""
        found = self.candidates(spec.key, where)
        if spec.type in LISTS:
            if not found and spec.inherit:
                return self.text(entries()[spec.inherit].spec, where)
            return format_value(spec, fold(spec, found))
        if found:
            return found[-1].text
        if spec.inherit:
            return self.text(entries()[spec.inherit].spec, where)
        return format_value(spec, spec.default)

    def elements(self, name: str, context: Context) -> list[tuple[str, Block]]:
        """Names of a list filter's elements directly inside the context's path, in order of first writing."""
        depth = len(context.path)
        found: dict[str, Block] = {}
        for block in self.blocks:
            inner = block.path
            here = len(inner) == depth + 1 and inner[-1][0] == name and inner[:-1] == context.path
            if here and matches(block.conditions, context.connection):
                found.setdefault(inner[-1][1], block)
        return list(found.items())


def fold(spec: Spec, found: list[Assignment]) -> Any:
    """A list's value: its default, changed by each assignment in turn."""
    if spec.type is STRLIST:
        pairs: dict[str, str] = dict(spec.default)
        for one in found:
            if one.op is Op.SET:
                pairs.clear()
            elif one.op is Op.ADD:
                pairs[one.item] = one.text
            else:
                pairs.pop(one.item, None)
        return pairs
    items: dict[str, None] = dict.fromkeys(spec.default)
    for one in found:
        if one.op is Op.SET:
            items = dict.fromkeys(list_members(spec, one))
        elif one.op is Op.ADD:
            items.setdefault(member(spec, one.item))
        else:
            items.pop(member(spec, one.item), None)
    return tuple(items)


def list_members(spec: Spec, one: Assignment) -> tuple[str, ...]:
    """The members a list assignment names; a value that stood in quotes is one member."""
    if one.quoted and one.text:
        return (member(spec, one.text),)
    members: tuple[str, ...] = parse_value(spec, one.text)
    return members


def check(spec: Spec, one: Assignment) -> None:
    """Whether an assignment's value is right. Raises ValueError."""
    if spec.type is STRLIST:
        if "\0" in one.text:
            raise ValueError("A NUL character is not allowed in a value")
    elif spec.type in (BOOLLIST, NETS):
        if one.op is Op.SET:
            list_members(spec, one)
        else:
            member(spec, one.item)
    else:
        parse_value(spec, one.text)


def is_subsequence(inner: Path, outer: Path) -> bool:
    """Whether all of ``inner`` occur in ``outer`` in that order."""
    if not inner:
        return True
    rest = iter(outer)
    return all(part in rest for part in inner)


def _holds(conditions: Conditions, where: Context | Scope) -> bool:
    if conditions is ALWAYS or conditions == ALWAYS:
        return True
    if isinstance(where, Scope):
        return conditions.covers(where.conditions)
    return matches(conditions, where.connection)
