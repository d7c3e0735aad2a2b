"""What a setting is: its type, default, unit, range and text.

A schema is a frozen dataclass whose fields are made with ``setting(...)``; everything else (the parser, ``doveconf``,
``docs/settings.md``) reads the ``Spec`` made of each field. The configuration key is the attribute's name, with the
class's ``PREFIX`` before it and without a unit suffix (``_secs``, ``_msecs``, ``_octets``), unless ``key=`` says else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Type(Enum):
    """The value types; the text is what ``docs/settings.md`` calls them."""

    BOOL = "boolean"
    UINT = "number"
    OCTAL = "octal number"
    SIZE = "size"
    SECS = "time"
    MSECS = "time (ms)"
    PORT = "port"
    ENUM = "one of"
    STR = "text"
    TEMPLATE = "text with variables"
    SECRET = "secret"
    FILE = "file"
    BOOLLIST = "list"
    NETS = "list of networks"
    STRLIST = "keys and values"


BOOL, UINT, OCTAL, SIZE, SECS, MSECS = Type.BOOL, Type.UINT, Type.OCTAL, Type.SIZE, Type.SECS, Type.MSECS
PORT, ENUM, STR, TEMPLATE, SECRET, FILE = Type.PORT, Type.ENUM, Type.STR, Type.TEMPLATE, Type.SECRET, Type.FILE
BOOLLIST, NETS, STRLIST = Type.BOOLLIST, Type.NETS, Type.STRLIST

LISTS = frozenset({BOOLLIST, NETS, STRLIST})
UNIT_SUFFIX = {SECS: "_secs", MSECS: "_msecs", SIZE: "_octets"}
REFUSED = object()
"""``unlimited=REFUSED``: the words ``unlimited`` and ``infinite`` are not accepted."""


@dataclass(frozen=True)
class Spec:
    """One setting of the schema. ``default`` is the typed value; ``inherit`` names the key it comes from instead."""

    key: str
    attribute: str
    type: Type
    default: Any
    text: str
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()  # members that other servers have, and why there are none here
    unlimited: Any = REFUSED
    inherit: str = ""
    by_connection: bool = True
    """False: may not stand inside ``protocol``, ``local``, ``local_name`` or ``remote``."""

    @property
    def secret(self) -> bool:
        return self.type is SECRET


def setting(
    default: T,
    *,
    type: Type,
    text: str,
    unit: str = "",
    low: int | None = None,
    high: int | None = None,
    choices: Sequence[str] = (),
    left_out: Mapping[str, str] | None = None,
    unlimited: Any = REFUSED,
    key: str = "",
    inherit: str = "",
    by_connection: bool = True,
) -> T:
    """A dataclass field that is a setting; to the type checker it is its default.

    ``unlimited`` is the value that the word ``unlimited`` (``infinite`` for times) stands for. ``inherit`` is another
    key whose value holds where this one is not set.
    """
    meta = {
        "type": type,
        "text": text,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "left_out": tuple((left_out or {}).items()),
        "unlimited": unlimited,
        "key": key,
        "inherit": inherit,
        "by_connection": by_connection,
    }
    if type is STRLIST:
        items = dict(cast("dict[str, str]", default))
        return cast(T, dataclasses.field(default_factory=lambda: dict(items), metadata=meta))
    return dataclasses.field(default=default, metadata=meta, repr=type is not SECRET)


@cache
def specs_of(schema: Any) -> tuple[Spec, ...]:
    """The settings of a schema class, in the order they are written. Fields without ``setting()`` are left out."""
    prefix: str = getattr(schema, "PREFIX", "")
    specs = []
    for field in dataclasses.fields(schema):
        if "text" not in field.metadata:
            continue
        meta = dict(field.metadata)
        kind: Type = meta["type"]
        key = meta.pop("key") or prefix + field.name.removesuffix(UNIT_SUFFIX.get(kind, ""))
        default = field.default if field.default is not dataclasses.MISSING else cast(Any, field.default_factory)()
        specs.append(Spec(key=key, attribute=field.name, default=default, **meta))
    return tuple(specs)
