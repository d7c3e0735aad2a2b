"""``python -m roost.settings.show > docs/settings.md``: every setting there is. A test checks that it is fresh."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from roost.settings.fields import BOOLLIST, REFUSED, STRLIST, Spec, specs_of
from roost.settings.filters import FILTERS
from roost.settings.known import RENAMED
from roost.settings.schema import AREAS, LIST_FILTERS, PARENTS
from roost.settings.schema.services import DEFAULTS
from roost.settings.values import format_value

HEAD = """# Settings

Made by `python -m roost.settings.show > docs/settings.md`; do not edit. The language is described in
`docs/man/roost.conf.5.md`. Times need a unit (`30s`, `2 mins`); sizes take `k`, `M`, `G` (base 1024); members of lists
are separated by spaces. *global*: cannot differ by protocol or address.
"""


def document() -> str:
    """The whole text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    for area in AREAS:
        yield from _area(area.__name__, area, "")
    for name, schema in LIST_FILTERS.items():
        parents = "".join(f"{parent} … / " for parent in PARENTS.get(name, ()))
        yield from _area(f"{parents}{name} NAME {{ … }}", schema, f"{name}_")
    yield "## Sections that exist by default\n"
    yield "```"
    yield DEFAULTS.strip()
    yield "```\n"
    yield "## Older spellings that are understood\n"
    yield "| older | now |"
    yield "|---|---|"
    yield from (f"| {old} | {new.key} |" for old, new in sorted(RENAMED.items()))
    yield "\n## Filters of `%{variable | filter}`\n"
    yield ", ".join(f"`{name}`" for name, one in sorted(FILTERS.items()) if not one.refused)


def _area(title: str, schema: type, prefix: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield inspect.cleandoc(schema.__doc__ or "") + "\n"
    yield "| setting | type | default | meaning |"
    yield "|---|---|---|---|"
    for spec in sorted(specs_of(schema), key=lambda spec: spec.key) if not prefix else specs_of(schema):
        yield f"| {spec.key.removeprefix(prefix)} | {_type(spec)} | {_default(spec)} | {_cell(spec.text)} |"
    yield ""


def _type(spec: Spec) -> str:
    text = spec.type.value
    if spec.choices:
        text = f"{text}: " if spec.type is BOOLLIST else ""
        text += ", ".join(f"`{choice}`" if choice else '`""`' for choice in spec.choices)
    elif spec.unit:
        text = spec.unit
    limits = []
    if spec.low is not None:
        limits.append(f"≥ {format_value(spec, spec.low)}")
    if spec.high is not None:
        limits.append(f"≤ {format_value(spec, spec.high)}")
    if spec.unlimited is not REFUSED:
        limits.append(f"or {format_value(spec, spec.unlimited)}")
    return _cell(" ".join([text, *limits])) + ("" if spec.by_connection else " (*global*)")


def _default(spec: Spec) -> str:
    if spec.inherit:
        return f"`$SET:{spec.inherit}`"
    if spec.type is STRLIST:
        text = ", ".join(f"{key} = {value}" for key, value in spec.default.items())
    else:
        text = format_value(spec, spec.default)
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
