"""Filters and distinguished names with variables, and the fields that are made of attributes.

The value of every ``%{…}`` in a filter or a name is escaped, whatever filters it went through (``safe`` too). In names
``ldap_dn`` (``a.b`` becomes ``a,dc=b``) makes several components, each of which is escaped by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from roost.auth.api import Query
from roost.errors import ConfigError, Unavailable
from roost.ipc.lines import escape as escape_tabs
from roost.settings.template import Pipeline, parse
from roost.settings.variables import check, expand, expand_path, variables_of
from services.auth.known_variables import known_variables, variables_for
from services.auth.ldap import escape

FAILURE = "Temporary authentication failure."
PROVIDER, MULTI = "ldap:", "ldap_multi:"
DN = "dn"  # %{ldap:dn}
_LDAP_DN = re.compile(r"\|\s*ldap_dn\s*(?:\(\s*\))?\s*\}\Z")


class Template:
    """A filter or a name. Raises ConfigError when it is broken or uses an unknown variable."""

    def __init__(self, text: str, key: str) -> None:
        self.text = text
        try:
            check(text)
            self._parts = parse(text)
            for part in self._parts:
                if isinstance(part, Pipeline):
                    known_variables(part)
        except ConfigError as error:
            raise ConfigError(error.why, key=key) from None
        self.names = variables_of(text)
        self.fixed = not any(isinstance(part, Pipeline) for part in self._parts)

    def __bool__(self) -> bool:
        return bool(self.text)

    def made(self, query: Query) -> str:
        """For this query. Raises Unavailable: a value cannot be made."""
        if self.fixed:
            return "".join(part for part in self._parts if isinstance(part, str))
        variables = variables_for(query, self.names)
        try:
            return "".join(part if isinstance(part, str) else _value(part, variables) for part in self._parts)
        except ConfigError as error:
            raise Unavailable(FAILURE, detail=error.why) from error


def _value(part: Pipeline, variables: Mapping[str, str]) -> str:
    components, count = _LDAP_DN.subn("}", part.text)
    if count:
        return ",dc=".join(escape.value(one) for one in expand(components, variables).split("."))
    return escape.value(expand(part.text, variables))


@dataclass(frozen=True)
class Answer:
    """An entry of the directory. Names of attributes are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]] = dataclass_field(default_factory=dict, repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        if name == DN:
            return (self.dn,)
        return tuple(one.decode("utf-8", "surrogateescape") for one in self.attributes.get(name.lower(), ()))


@dataclass(frozen=True)
class _Field:
    name: str
    text: str
    attributes: frozenset[str]  # as written, with their provider
    needed: frozenset[str]  # of these, those without which there is no field


class Fields:
    """The ``fields { }`` of a block. A field whose attribute the entry does not have is not there."""

    def __init__(self, fields: Mapping[str, str], key: str) -> None:
        self._fields = []
        names: set[str] = set()
        for name, text in fields.items():
            try:
                check(text)
                pipelines = [part for part in parse(text) if isinstance(part, Pipeline)]
                for one in pipelines:
                    known_variables(one, ("ldap", "ldap_multi"))
            except ConfigError as error:
                raise ConfigError(f"fields: {name}: {error.why}", key=key) from None
            used = variables_of(text)
            attributes = frozenset(one for one in used if one.startswith((PROVIDER, MULTI)))
            needed = {
                one
                for part in pipelines
                if not any(call.name == "default" for call in part.filters)
                for one in variables_of(part.text) & attributes
            }
            self._fields.append(_Field(name, text, attributes, frozenset(needed)))
            names |= used
        self.names = frozenset(one for one in names if not one.startswith((PROVIDER, MULTI)))
        self._used = sorted(names - self.names)

    @property
    def attributes(self) -> list[str]:
        """What the directory is to be asked for."""
        return list(dict.fromkeys(name for one in self._used if (name := one.partition(":")[2]).lower() != DN))

    @property
    def from_entry(self) -> bool:
        """Whether any field needs the entry."""
        return bool(self._used)

    def made(self, query: Query, answer: Answer) -> dict[str, str]:
        """The fields for this query. Raises Unavailable; ConfigError and Refused for a broken value of a path."""
        variables = variables_for(query, self.names)
        for one in self._used:
            provider, _, name = one.partition(":")
            values = answer.values(name)
            if values:
                multi = provider + ":" == MULTI
                variables[one] = _list(values) if multi else values[0]
        made: dict[str, str] = {}
        for field in self._fields:
            if all(name in variables for name in field.needed):
                if field.name == "password":
                    _only_one(field, answer)
                make = expand_path if field.text.startswith("/") else expand
                made[field.name] = make(field.text, variables)
        return made


def _only_one(one: _Field, answer: Answer) -> None:
    if any(len(answer.values(name.partition(":")[2])) > 1 for name in one.attributes if name.startswith(PROVIDER)):
        raise Unavailable(FAILURE, detail="Multiple password values not supported")


def _list(values: tuple[str, ...]) -> str:
    escaped = (escape_tabs(one.encode("utf-8", "surrogateescape")) for one in values)
    return b"\t".join(escaped).decode("utf-8", "surrogateescape")
