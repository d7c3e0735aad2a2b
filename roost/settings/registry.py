"""Every key by name: its spec, where it may stand, and what a key that is not known might have meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import cache

from roost.settings.fields import Spec, specs_of
from roost.settings.schema import AREAS, INSIDE, LIST_FILTERS, NAMED_FILTERS, PARENTS

CONNECTION_FILTERS = frozenset({"protocol", "local", "local_name", "remote"})


@dataclass(frozen=True)
class Entry:
    """``lists``: the list filters it may stand in (global settings: ``service``, to hold for that service alone).
    ``named``: the named filters that may stand around it without being part of its name."""

    spec: Spec
    lists: frozenset[str]
    named: frozenset[str]
    is_global: bool


@cache
def entries() -> dict[str, Entry]:
    """key → Entry, of the whole schema."""
    found: dict[str, Entry] = {}
    for area in AREAS:
        within: tuple[str, ...] = getattr(area, "WITHIN", ())
        for spec in specs_of(area):
            found[spec.key] = Entry(spec, frozenset({"service"}), frozenset(within), is_global=True)
    for name, schema in LIST_FILTERS.items():
        lists = frozenset({name, *PARENTS.get(name, ())})
        for spec in specs_of(schema):
            known = found.get(spec.key)
            found[spec.key] = (
                replace(known, lists=known.lists | lists) if known else Entry(spec, lists, frozenset(), is_global=False)
            )
    for name, prefixes in INSIDE.items():
        for key, entry in found.items():
            if key.startswith(prefixes):
                found[key] = replace(entry, named=entry.named | {name})
    return found


def is_section(name: str) -> bool:
    """Whether ``name { … }`` or ``name X { … }`` is a section of Roost (list settings in block form left out)."""
    return name in LIST_FILTERS or name in NAMED_FILTERS or name in CONNECTION_FILTERS


def similar_setting(typed: str, prefixes: list[str]) -> str:
    """The known key nearest to ``typed``, as it would be written inside filters with these prefixes; "" = none."""
    names: dict[str, None] = {}
    for key in entries():
        for prefix in prefixes:
            if key.startswith(prefix):
                names.setdefault(key.removeprefix(prefix))
        names.setdefault(key)
    near = difflib.get_close_matches(typed, list(names), 1, 0.7)
    return near[0] if near else ""


def similar_section(typed: str) -> str:
    """The known section name nearest to ``typed``; "" = none."""
    near = difflib.get_close_matches(typed, [*LIST_FILTERS, *NAMED_FILTERS, *CONNECTION_FILTERS], 1, 0.7)
    return near[0] if near else ""
