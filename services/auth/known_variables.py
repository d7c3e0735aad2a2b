"""Which variables the templates of databases may use, and what an answer made of them depends on."""

from __future__ import annotations

from collections.abc import Iterable

from roost.auth.api import VARIABLES, Query
from roost.errors import ConfigError
from roost.settings.template import Pipeline
from roost.settings.variables import variables_of

MOVING = ("generate", "time", "date")  # providers whose values change from one question to the next
FIXED = ("env", "process", "system", "dovecot")
BEFORE = ("passdb",)  # what earlier databases said


def known_variables(pipeline: Pipeline, providers: Iterable[str] = (), names: Iterable[str] = ()) -> None:
    """That each name in it can have a value. Raises ConfigError."""
    if any(call.name == "default" for call in pipeline.filters):
        return
    for name in variables_of(pipeline.text):
        provider, colon, _ = name.partition(":")
        if colon and provider in (*MOVING, *FIXED, *BEFORE, *providers):
            continue
        if name not in VARIABLES and name not in names:
            raise ConfigError(f"Unknown variable '{name}' in {pipeline.text}")


def variables_for(query: Query, names: Iterable[str]) -> dict[str, str]:
    """The values of these names that a query has."""
    variables = query.variables(names)
    if query.passdb_fields:
        variables.update((f"passdb:{name}", value) for name, value in query.passdb_fields.items())
    return variables


def dependencies(names: Iterable[str]) -> frozenset[str] | None:
    """``Passdb.variables`` of templates that use these names; None: more than a query's variables."""
    names = set(names)
    if any(name.partition(":")[0] in (*MOVING, *BEFORE) and ":" in name for name in names):
        return None
    return frozenset(names & set(VARIABLES))
