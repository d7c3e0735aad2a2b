"""``load(path)``: files, overrides and environment → ``Config``, or ``ConfigError`` and nothing changed.

A pure function but for reading files: a reload calls it beside the configuration in use.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache

from roost.errors import ConfigError
from roost.settings import overrides as override_language
from roost.settings import registry, services, variables
from roost.settings.build import Builder
from roost.settings.config import Config
from roost.settings.dollar import BARE, expand_all
from roost.settings.fields import STRLIST, TEMPLATE
from roost.settings.files import Files
from roost.settings.readers import dovecot
from roost.settings.readers.statements import Statement
from roost.settings.schema.services import DEFAULTS
from roost.settings.tree import DEFAULT, FILE, OVERRIDE, Assignment, Tree, check

DEFAULT_PATH = "/etc/roost/roost.conf"
BUILT_IN = "<default>"
SCRIPT_KEY = "lua_file"
SCRIPTED = ("last_login_dict_fields", "last_login_key", "lua_settings")
"""Settings in which filters may be Lua functions: they are used where a user's script is at hand."""

_OLD_VARIABLE = re.compile(r"%[LU]?[undh](?![A-Za-z0-9])")
_NEW_VARIABLES = {"u": "%{user}", "n": "%{user | username}", "d": "%{user | domain}", "h": "%{home}"}


def load(path: str = DEFAULT_PATH, overrides: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Config:
    """The effective configuration. ``environ`` is what ``$ENV:`` sees (default: this process's). Raises ConfigError."""
    builder = Builder()
    builder.level = DEFAULT
    builder.take_all(_built_in())
    builder.level = FILE
    if path:
        Files(builder).read_main(path)
    builder.level = OVERRIDE
    statements, redirects = override_language.statements(overrides)
    builder.take_all(statements)
    builder.finish(redirects)
    tree = builder.tree
    try:
        expand_all(tree, os.environ if environ is None else environ, builder.warnings)
        _check_values(builder, tree)
    except ConfigError as error:
        builder.note(error)
    builder.raise_errors()
    config = Config(path, tree, tuple(dict.fromkeys(builder.warnings)), _scripts(tree))
    services.check(config)
    return config


def _scripts(tree: Tree) -> dict[str, str]:
    """The digests of all scripts. One that cannot be read has none; who runs it says why."""
    found: dict[str, str] = {}
    for one in tree.all():
        if one.key == SCRIPT_KEY and one.text not in found:
            try:
                with open(one.text, "rb") as file:
                    found[one.text] = hashlib.sha256(file.read()).hexdigest()
            except (OSError, ValueError):
                continue
    return found


@cache
def _built_in() -> list[Statement]:
    return dovecot.read(DEFAULTS, BUILT_IN)


def _check_values(builder: Builder, tree: Tree) -> None:
    entries = registry.entries()
    for one in tree.all():
        spec = entries[one.key].spec
        try:
            check(spec, one)
            if spec.type in (TEMPLATE, STRLIST):
                _check_template(builder, one)
        except ValueError as error:
            bare = [word for word in one.text.split() if BARE.match(word)] if not one.quoted else []
            hint = f"; {bare[0]} is not a variable: write $SET:{bare[0][1:]}" if bare else ""
            builder.note(ConfigError(str(error) + hint, file=one.file, line=one.line, key=one.key))
        except ConfigError as error:
            builder.note(ConfigError(error.why, file=one.file, line=one.line, key=one.key))


def _check_template(builder: Builder, one: Assignment) -> None:
    variables.check(one.text)
    if one.key not in SCRIPTED and (names := variables.injected_of(one.text)):
        raise ConfigError(f"{min(names)} works only in {', '.join(SCRIPTED)}")
    match = _OLD_VARIABLE.search(one.text)
    if match:
        builder.warnings.append(
            f"{one.file} line {one.line}: {one.key}: {match[0]} is not a variable "
            f"(write {_NEW_VARIABLES[match[0][-1]]}); taken literally"
        )
