"""Places in a configuration: what an open brace is, and which setting a short key means there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from roost.errors import ConfigError
from roost.settings import registry
from roost.settings.connections import ALWAYS, Conditions
from roost.settings.fields import Spec
from roost.settings.known import RENAMED, Renamed
from roost.settings.schema import INLINE, NAMED_FILTERS
from roost.settings.tree import Path

_ELEMENT = re.compile(r"[A-Za-z0-9_-]+\Z")


class Role(Enum):
    """What an open brace is."""

    FILTER = "filter"
    CONNECTION = "connection"
    LIST = "list"
    LOGIN = "login"  # Dovecot's login service: only its inet listeners count
    IGNORED = "ignored"


@dataclass(frozen=True)
class Frame:
    """One open brace: the place inside it. Several ``conditions`` when a host name has several addresses."""

    role: Role
    path: Path = ()
    conditions: tuple[Conditions, ...] = (ALWAYS,)
    file: str = ""
    line: int = 0
    label: str = ""
    spec: Spec | None = None
    error: ConfigError | None = None
    """What is wrong with the section as soon as it holds anything: one of Dovecot's that Roost has not."""

    @property
    def by_connection(self) -> bool:
        """Whether it is inside a connection filter."""
        return any(conditions != ALWAYS for conditions in self.conditions)


def candidates(path: Path, typed: str) -> list[str]:
    """The full keys ``typed`` can mean inside ``path``, the most wanted first: the longest prefix, walking outwards."""
    found: list[str] = []
    for name, element in reversed(path):
        if _ELEMENT.match(element):
            found.append(f"{name}_{element.replace('-', '_')}_{typed}")
        found.append(f"{name}_{typed}")
    found.append(typed)
    return found


def meant(path: Path, typed: str) -> tuple[Spec | None, Renamed | None, str]:
    """The setting a key means inside ``path``, the older spelling if it is one, and its full name as typed."""
    entries = registry.entries()
    names = candidates(path, typed)
    for name in names:
        if name in entries:
            return entries[name].spec, None, name
    for name in names:
        renamed = RENAMED.get(name)
        if renamed is not None and renamed.key in entries:
            return entries[renamed.key].spec, renamed, name
    return None, None, typed


def remaining(path: Path, spec: Spec) -> Path:
    """The path without named filters that are part of the key's own name (``ssl_server { cert_file }``)."""
    return tuple(part for part in path if not (part[0] in NAMED_FILTERS and spec.key.startswith(part[0] + "_")))


def own(path: Path) -> Path:
    """The path from an inline list filter on: what is around it has no say about the keys inside."""
    if path and any((around, "") in path for around in INLINE.get(path[-1][0], ())):
        return path[-1:]
    return path


def why_not_here(frame: Frame, spec: Spec) -> str:
    """Why a setting cannot stand at a place; "" = it can."""
    entry = registry.entries()[spec.key]
    if not spec.by_connection and frame.by_connection:
        return "This setting cannot be set inside a protocol, local, local_name or remote block"
    for name, element in own(remaining(frame.path, spec)):
        if name not in entry.lists and name not in entry.named:
            where = f"{name} {element}".rstrip()
            return f"This setting has no meaning inside {where} {{ .. }}: set it outside"
    return ""
