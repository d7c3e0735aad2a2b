"""The errors about keys and sections that are not known: what was meant, or that Dovecot has it and Roost has not."""

from __future__ import annotations

from roost.errors import ConfigError
from roost.settings import registry
from roost.settings.known import DOVECOT_KEYS, DOVECOT_SECTIONS, INSTEAD
from roost.settings.readers.statements import Statement
from roost.settings.schema import LIST_FILTERS
from roost.settings.tree import Path


def setting_error(one: Statement, path: Path) -> ConfigError:
    """For ``key = value`` with a key that no schema has."""
    typed = one.key
    prefixed = [f"{name}_{typed}" for name, _ in reversed(path)]
    for name in (*prefixed, typed):
        if name in DOVECOT_KEYS or name in INSTEAD:
            return ConfigError(_foreign("setting", name), file=one.file, line=one.line, key=typed)
    # Members of the sections around come first, so that a short name is offered where it can stand.
    near = registry.similar_setting(typed, [f"{name}_" for name, _ in reversed(path)])
    remedy = f"Did you mean {near}?" if near else "doveconf -d lists every setting."
    if prefixed:
        why = f"Unknown setting: {typed} ({' or '.join(prefixed)} not found either. {remedy})"
    else:
        why = f"Unknown setting: {typed} ({remedy})"
    return ConfigError(why, file=one.file, line=one.line, key=typed)


def foreign_section(one: Statement) -> ConfigError:
    """For a section that only Dovecot has, if it holds anything. Raises ConfigError if nobody has it."""
    name = one.key
    if name in DOVECOT_SECTIONS or name in INSTEAD or name in DOVECOT_KEYS:
        return ConfigError(_foreign("section", name), file=one.file, line=one.line, key=name)
    near = registry.similar_section(name)
    remedy = f" (Did you mean {near}?)" if near else f" (there are: {', '.join(sorted(LIST_FILTERS))} …)"
    raise ConfigError(f"Unknown section name: {name}{remedy}", file=one.file, line=one.line, key=name)


def _foreign(what: str, name: str) -> str:
    remedy = INSTEAD.get(name, "remove it, or put # before it")
    return f"This is a {what} of Dovecot that Roost does not have ({remedy})"
