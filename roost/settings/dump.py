"""A configuration as a tree to show: what ``doveconf`` prints.

``collect`` makes the tree once; ``written.py`` writes it in the configuration language or as TOML, and both texts load
again to the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from roost.settings import registry
from roost.settings.config import Config
from roost.settings.connections import ALWAYS, ORDER, Conditions, Connection, matches
from roost.settings.fields import LISTS, STRLIST, Spec, specs_of
from roost.settings.readers.quoting import written
from roost.settings.schema import AREAS, LIST_FILTERS
from roost.settings.tree import DEFAULT, Assignment, Context, Op, Path, Scope, Tree, fold
from roost.settings.values import format_value, parse_value


class Which(Enum):
    """What is shown."""

    NON_DEFAULT = "differs from the default"
    EXPLICIT = "set in the files"
    ALL = "everything"


@dataclass(frozen=True)
class Shown:
    """One setting. ``value`` is typed, ``text`` the value as text, ``raw`` as it stands after ``key =``; ``origin`` is
    file:line, "" for a default. ``cleared``: a strlist that does not have all of its default's members."""

    name: str
    spec: Spec
    value: Any
    text: str
    raw: str
    origin: str
    cleared: bool = False


@dataclass
class Section:
    """A section with its settings and inner sections; the outermost has no kind."""

    kind: str = ""
    name: str = ""
    settings: list[Shown] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def inner(self, kind: str, name: str) -> Section:
        """The section of that name, made if it is not there."""
        for section in self.sections:
            if (section.kind, section.name) == (kind, name):
                return section
        self.sections.append(Section(kind, name))
        return self.sections[-1]


Place = tuple[Conditions, Path]


def collect(config: Config, which: Which, *, expanded: bool, connection: Connection | None = None) -> Section:
    """The whole configuration. With ``connection`` the filters that match it are applied and not shown."""
    root = Section()
    explicit = _explicit(config.tree, connection)
    places: dict[Place, None] = {(ALWAYS, ()): None}
    for block in config.tree.blocks:
        if which is Which.ALL or block.level > DEFAULT:
            conditions = ALWAYS if connection is not None else block.conditions
            if connection is None or matches(block.conditions, connection):
                places.setdefault((conditions, block.path))
    places.update(dict.fromkeys(explicit))
    defaults = _defaults(config.tree)
    for place in places:
        conditions, path = place
        found = [
            show(config, spec, path, conditions, expanded=expanded, connection=connection)
            for spec in _specs(which, place, explicit.get(place, ()))
            if not (which is Which.NON_DEFAULT and _is_default(config, defaults, spec, place, connection))
        ]
        if found or (path and which is not Which.NON_DEFAULT) or _is_new(config.tree, path):
            _section_at(root, place).settings += found
    return root


def show(
    config: Config,
    spec: Spec,
    path: Path,
    conditions: Conditions = ALWAYS,
    *,
    expanded: bool,
    connection: Connection | None = None,
    name: str = "",
) -> Shown:
    """One setting as it holds at a place, or for a connection there."""
    where = Scope(path, conditions) if connection is None else Context(path, connection)
    found = config.tree.candidates(spec.key, where)
    last = found[-1] if found else None
    text = config.tree.text(spec, where)
    raw = written(text)
    cleared = False
    if spec.type in LISTS:
        value = fold(spec, found) if found or not spec.inherit else parse_value(spec, text)
        raw = text
        cleared = spec.type is STRLIST and any(item not in value for item in spec.default)
    else:
        value = parse_value(spec, text)
    if last is not None and last.op is Op.SET and not expanded:
        raw = last.written
    origin = "" if last is None or last.level == DEFAULT else f"{last.file}:{last.line}" if last.line else last.file
    return Shown(name or short_name(spec, path), spec, value, text, raw, origin, cleared)


def short_name(spec: Spec, path: Path) -> str:
    """A key as it is written inside ``path``."""
    if path and LIST_FILTERS.get(path[-1][0]) is not None:
        return spec.key.removeprefix(path[-1][0] + "_")
    return spec.key


def home_specs(path: Path) -> list[Spec]:
    """The settings that belong at a place: the global ones sorted by name, or a section's own in its order."""
    if not path:
        return sorted((spec for area in AREAS for spec in specs_of(area)), key=lambda spec: spec.key)
    own = specs_of(LIST_FILTERS[path[-1][0]]) if path[-1][0] in LIST_FILTERS else ()
    return [spec for spec in own if spec.attribute not in ("name", "path")]


def _explicit(tree: Tree, connection: Connection | None) -> dict[Place, list[str]]:
    """The keys set above the built-in level, by place."""
    found: dict[Place, dict[str, None]] = {}
    for one in sorted(tree.all(), key=lambda one: one.order):
        if one.level > DEFAULT and (connection is None or matches(one.conditions, connection)):
            place = (ALWAYS if connection is not None else one.conditions, one.path)
            found.setdefault(place, {}).setdefault(one.key)
    return {place: list(keys) for place, keys in found.items()}


def _defaults(tree: Tree) -> Tree:
    """The tree as it would be without any file."""
    return Tree(
        {
            key: kept
            for key, found in tree.assignments.items()
            if (kept := [one for one in found if one.level == DEFAULT])
        },
        [block for block in tree.blocks if block.level == DEFAULT],
    )


def _specs(which: Which, place: Place, explicit: Sequence[str]) -> list[Spec]:
    conditions, path = place
    entries: Mapping[str, registry.Entry] = registry.entries()
    home = home_specs(path) if conditions == ALWAYS else []
    known = {spec.key for spec in home}
    others = [entries[key].spec for key in explicit if key not in known]
    if which is Which.ALL:
        return home + others
    wanted = set(explicit)
    return [spec for spec in home if spec.key in wanted] + others


def _is_default(config: Config, defaults: Tree, spec: Spec, place: Place, connection: Connection | None) -> bool:
    conditions, path = place
    if conditions != ALWAYS:
        return False
    where = Scope(path, ALWAYS) if connection is None else Context(path, connection)
    here, there = config.tree.candidates(spec.key, where), defaults.candidates(spec.key, where)
    return bool(_typed(config.tree, spec, here, where) == _typed(defaults, spec, there, where))


def _typed(tree: Tree, spec: Spec, found: list[Assignment], where: Context | Scope) -> Any:
    if spec.type in LISTS and found:
        return fold(spec, found)
    return format_value(spec, spec.default) if spec.type is STRLIST else parse_value(spec, tree.text(spec, where))


def _is_new(tree: Tree, path: Path) -> bool:
    """Whether an element exists only because a file opened it (and must be shown even when nothing is set in it)."""
    levels = [block.level for block in tree.blocks if block.path == path]
    return bool(path) and bool(levels) and min(levels) > DEFAULT


def _section_at(root: Section, place: Place) -> Section:
    conditions, path = place
    section = root
    for kind in ORDER:
        if argument := getattr(conditions, kind):
            section = section.inner(kind, argument)
    for kind, name in path:
        section = section.inner(kind, name)
    return section
