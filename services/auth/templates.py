"""The ``fields { }`` of a passdb or userdb block: templates that are expanded after the lookup.

A template that begins with ``/`` is a path: each variable in it becomes one harmless component, so that no user name
leads out of the folder. All others are plain text. Only the variables that are used are looked up.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.auth.api import NO_FIELDS, Query
from roost.settings.variables import check, expand, expand_path, variables_of

NAME_VARIABLES = frozenset({"user", "username", "domain"})
MAX_KNOWN = 1000


class FieldTemplates:
    """One block's. Raises ConfigError when a template is broken."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = [(name, text, text.startswith("/")) for name, text in fields.items()]
        needed: set[str] = set()
        for text in fields.values():
            check(text)
            needed |= variables_of(text)
        self._needed = frozenset(needed)
        self._databases = any(":" in name for name in needed)
        self._userdb = bool(needed & {"home", "uid", "gid"})
        # Templates of the user's name alone give the same fields at every login: the name is the whole key.
        self._known: dict[str, dict[str, str]] | None = {} if self._needed <= NAME_VARIABLES else None

    def __bool__(self) -> bool:
        return bool(self._fields)

    @property
    def variables(self) -> frozenset[str]:
        """The names that are looked up."""
        return self._needed

    def expanded(
        self, query: Query, found: Mapping[str, str], provider: str, further: Mapping[str, str] = NO_FIELDS
    ) -> Mapping[str, str]:
        """The fields for this query; ``found`` is what the database said, as ``%{provider:name}``; ``further`` are
        variables by their whole names (``Entry.variables``).

        Raises ConfigError (an unknown variable), Refused (an empty part of a path).
        """
        if self._known is not None:
            known = self._known.get(query.user)
            if known is not None:
                return known
        variables = query.variables(self._needed)
        if self._databases:
            if query.passdb_fields:
                variables.update((f"passdb:{name}", value) for name, value in query.passdb_fields.items())
            variables.update((f"{provider}:{name}", value) for name, value in found.items())
            variables.update(further)
        if self._userdb:
            variables.update((name, found[name]) for name in ("home", "uid", "gid") if name in found)
        made = {
            name: expand_path(text, variables) if is_path else expand(text, variables)
            for name, text, is_path in self._fields
        }
        if self._known is not None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[query.user] = made
        return made
