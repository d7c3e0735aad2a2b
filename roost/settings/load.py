"""``load(path)``: files, overrides and environment → ``Config``, or ``ConfigError`` and nothing changed.

A pure function but for reading files: a reload calls it beside the configuration in use.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache

from roost.errors import ConfigError
from roost.settings import overrides as override_language
from roost.settings import registry, services
from roost.settings.build import Builder
from roost.settings.config import Config
from roost.settings.dollar import expand_all
from roost.settings.files import Files
from roost.settings.readers import dovecot
from roost.settings.readers.statements import Statement
from roost.settings.schema.services import DEFAULTS
from roost.settings.tree import DEFAULT, FILE, OVERRIDE, Tree, check

DEFAULT_PATH = "/etc/roost/roost.conf"
BUILT_IN = "<default>"


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
    expand_all(tree, os.environ if environ is None else environ, builder.warnings)
    _check_values(builder, tree)
    config = Config(path, tree, tuple(dict.fromkeys(builder.warnings)))
    services.check(config)
    return config


@cache
def _built_in() -> list[Statement]:
    return dovecot.read(DEFAULTS, BUILT_IN)


def _check_values(builder: Builder, tree: Tree) -> None:
    entries = registry.entries()
    for one in tree.all():
        try:
            check(entries[one.key].spec, one)
        except ValueError as error:
            builder.note(ConfigError(str(error), file=one.file, line=one.line, key=one.key))
    builder.raise_errors()
