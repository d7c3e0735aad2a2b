"""``$SET:name`` and ``$ENV:name`` in unquoted values: replaced once, when everything has been read.

A value that was put in is never looked at again for variables of the same text: what ``$ENV:`` gives is only text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from roost.errors import ConfigError
from roost.settings.connections import ALWAYS
from roost.settings.fields import STRLIST
from roost.settings.places import meant
from roost.settings.schema import LIST_FILTERS, NAMED_FILTERS
from roost.settings.tree import Assignment, Op, Path, Scope, Tree

MAX_OUTPUT = 1 << 20
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
BARE = re.compile(r"\$[a-z][a-z0-9_]*\Z")
"""A word like ``$name``: what a variable looked like in Dovecot 2.3."""


def expand_all(tree: Tree, environ: Mapping[str, str], warnings: list[str]) -> None:
    """Replace the ``text`` of every assignment that holds a ``$``. Raises ConfigError."""
    expander = _Expander(tree, environ, warnings)
    for key, found in list(tree.assignments.items()):
        if any("$" in one.text and not one.quoted for one in found):
            for index, one in enumerate(found):
                if not one.quoted and "$" in one.text:
                    found[index] = replace(one, text=expander.expanded(one))
            tree.assignments[key] = found


class _Expander:
    def __init__(self, tree: Tree, environ: Mapping[str, str], warnings: list[str]) -> None:
        self.tree = tree
        self.environ = environ
        self.warnings = warnings
        self.active: list[int] = []
        self.done: dict[int, str] = {}

    def expanded(self, one: Assignment) -> str:
        if one.order in self.done:
            return self.done[one.order]
        self.active.append(one.order)
        text = self._tokens(one)
        self.active.pop()
        self.done[one.order] = text
        return text

    def _tokens(self, one: Assignment) -> str:
        made: list[str] = []
        size = 0
        for token in one.text.split(" "):
            if token.startswith("$SET:"):
                token = self._set(one, token[5:])
            elif token.startswith("$ENV:"):
                name = token[5:]
                if not _ENV_NAME.match(name):
                    raise _error(one, f"Failed to expand $ENV:{name}: not a name of an environment variable")
                token = self.environ.get(name, "")
            elif not token and made:
                continue
            elif BARE.match(token):
                self.warnings.append(
                    f"{one.file} line {one.line}: {one.key}: {token} is not a variable (write $SET:{token[1:]}); "
                    "taken literally"
                )
            size += len(token) + 1
            if size > MAX_OUTPUT:
                raise _error(one, f"The expanded value is too long (more than {MAX_OUTPUT} characters)")
            made.append(token)
        return " ".join(made)

    def _set(self, one: Assignment, name: str) -> str:
        *filters, key = name.split("/")
        scope = self._scope(one, name, filters)
        spec, _, _ = meant(scope.path, key)
        if spec is None:
            raise _error(one, f"Failed to expand $SET:{name}: Unknown setting")
        if spec.type is STRLIST:
            raise _error(one, f"Failed to expand $SET:{name}: Setting type can't be expanded to string")
        for candidate in self.tree.candidates(spec.key, scope):
            if candidate.order in self.active:
                raise _error(one, f"Chained $SET:{name} loops back to itself")
            if candidate.op is Op.SET and not candidate.quoted and "$" in candidate.text:
                text = self.expanded(candidate)
                found = self.tree.assignments[spec.key]
                found[found.index(candidate)] = replace(candidate, text=text)
        try:
            return self.tree.text(spec, scope)
        except ValueError as error:
            raise _error(one, f"Failed to expand $SET:{name}: {error}") from None

    def _scope(self, one: Assignment, name: str, filters: list[str]) -> Scope:
        if not filters:
            return Scope(one.path, one.conditions)
        path: Path = ()
        parts = iter(filters)
        for part in parts:
            if part in NAMED_FILTERS:
                path = (*path, (part, ""))
            elif part in LIST_FILTERS:
                path = (*path, (part, next(parts, "").replace("\\s", "/")))
            else:
                raise _error(one, f"Failed to expand $SET:{name}: Unknown filter path")
        known = [block.path for block in self.tree.blocks]
        if any(element for _, element in path) and path not in known:
            raise _error(one, f"Failed to expand $SET:{name}: Unknown filter path")
        return Scope(path, ALWAYS)


def _error(one: Assignment, why: str) -> ConfigError:
    return ConfigError(why, file=one.file, line=one.line, key=one.key)
