"""``Config``: the effective configuration. Read-only, picklable, cheap to ask after the first time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar, cast

from roost.settings import services
from roost.settings.connections import Conditions, Connection, matches
from roost.settings.fields import specs_of
from roost.settings.schema import (
    LIST_FILTERS,
    DictSettings,
    MailboxSettings,
    MasterSettings,
    NamespaceSettings,
    PassdbSettings,
    PgsqlSettings,
    ServiceSettings,
    UserdbSettings,
)
from roost.settings.schema.oauth2 import LOCAL_VALIDATION
from roost.settings.tree import Assignment, Context, Path, Tree

T = TypeVar("T")
Database = TypeVar("Database", PassdbSettings, UserdbSettings)

CACHE_SIZE = 1000
OAUTH2 = "oauth2"


class Config:
    """What ``load`` returns. ``path``: the main file. ``warnings``: texts for the log, in order. ``scripts``: digests
    of the scripts it names, as they were then; two configurations that differ in nothing else differ in these."""

    def __init__(
        self, path: str, tree: Tree, warnings: tuple[str, ...] = (), scripts: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.tree = tree
        self.warnings = warnings
        self.scripts = scripts or {}
        self._cache: dict[tuple[Any, ...], Any] = {}
        self._conditions = _distinct_conditions(tree)

    def __getstate__(self) -> tuple[str, Tree, tuple[str, ...], Mapping[str, str]]:
        return (self.path, self.tree, self.warnings, self.scripts)

    def __setstate__(self, state: tuple[str, Tree, tuple[str, ...], Mapping[str, str]]) -> None:
        self.__init__(*state)  # type: ignore[misc]  # the same values the constructor takes

    def section(
        self,
        schema: type[T],
        *,
        service: str = "",
        protocol: str = "",
        local_ip: str | None = None,
        local_name: str | None = None,
        remote_ip: str | None = None,
    ) -> T:
        """The settings of one area, with the filters that match these facts applied. The same facts give the same
        object. Raises ConfigError never: every value was checked at load."""
        connection = Connection(protocol, local_ip, local_name, remote_ip)
        path: Path = (("service", service),) if service else ()
        path += tuple((name, "") for name in getattr(schema, "WITHIN", ()))
        return self.element(schema, path, connection)

    @property
    def by_address(self) -> bool:
        """Whether any setting depends on the addresses of a connection."""
        return any(conditions.local or conditions.remote for conditions in self._conditions)

    def element(self, schema: type[T], path: Path, connection: Connection = Connection()) -> T:  # noqa: B008 - frozen
        """The settings of a schema class inside filters (``path``: (filter, name) from the outside in)."""
        matched = tuple([matches(conditions, connection) for conditions in self._conditions])
        found: T | None = self._cache.get((schema, path, matched))
        if found is None:
            context = Context(path, connection)
            values = {spec.attribute: self.tree.value(spec, context) for spec in specs_of(cast(Hashable, schema))}
            for part, name in path:
                if name and LIST_FILTERS.get(part) is schema:
                    named = "path" if "path" in values else "name"
                    values[named] = values[named] or name
            found = schema(**values)
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[schema, path, matched] = found
        return found

    def elements(self, schema: type[T], name: str, within: Path = (), protocol: str = "") -> tuple[T, ...]:
        """Every element of a list filter, in order of first writing."""
        connection = Connection(protocol)
        context = Context(within, connection)
        return tuple(
            self.element(schema, (*within, (name, each)), connection) for each, _ in self.tree.elements(name, context)
        )

    @cached_property
    def services(self) -> Mapping[str, ServiceSettings]:
        """Every enabled service with its listeners, by name."""
        return services.enabled(self)

    @property
    def passdbs(self) -> Sequence[PassdbSettings]:
        """The passdbs outside ``protocol`` blocks, in order."""
        return self.passdbs_of("")

    @property
    def userdbs(self) -> Sequence[UserdbSettings]:
        """The userdbs outside ``protocol`` blocks, in order."""
        return self.userdbs_of("")

    def passdbs_of(self, protocol: str) -> Sequence[PassdbSettings]:
        """The passdbs for a protocol: those inside its ``protocol`` block come before the global ones."""
        return tuple(self._with_oauth2(one, protocol) for one in self._databases(PassdbSettings, "passdb", protocol))

    def userdbs_of(self, protocol: str) -> Sequence[UserdbSettings]:
        """The userdbs for a protocol: those inside its ``protocol`` block come before the global ones."""
        return self._databases(UserdbSettings, "userdb", protocol)

    def _databases(self, schema: type[Database], name: str, protocol: str) -> tuple[Database, ...]:
        connection = Connection(protocol)
        found = self.tree.elements(name, Context((), connection))
        found.sort(key=lambda pair: not pair[1].conditions.protocol)
        servers = self.elements(PgsqlSettings, "pgsql")
        made = tuple(self.element(schema, ((name, each),), connection) for each, _ in found)
        return tuple(replace(one, pgsql=servers) for one in made) if servers else made

    def _with_oauth2(self, block: PassdbSettings, protocol: str) -> PassdbSettings:
        """A passdb oauth2 with what ``oauth2 { … }`` says, and with the dict of its keys; others as they are."""
        if (block.driver or block.name) != OAUTH2:
            return block
        path: Path = (("passdb", block.name),)
        inner: Path = ((LOCAL_VALIDATION, ""),)
        full = self.element(PassdbSettings, (*path, (OAUTH2, "")), Connection(protocol))
        full = replace(full, pgsql=block.pgsql)
        for within in ((*path, (OAUTH2, ""), *inner), (*path, *inner), ((OAUTH2, ""), *inner), inner):
            if found := self.elements(DictSettings, "dict", within):
                return replace(full, oauth2_keys=found[0])
        wanted = full.oauth2_local_validation_dict
        named = [one for one in self.elements(DictSettings, "dict") if one.name == wanted]
        return replace(full, oauth2_keys=named[0]) if named else full

    @property
    def namespaces(self) -> Sequence[NamespaceSettings]:
        return self.elements(NamespaceSettings, "namespace")

    @property
    def mailboxes(self) -> Sequence[MailboxSettings]:
        """The mailboxes every user has, of all namespaces."""
        return tuple(
            mailbox
            for namespace in self.namespaces
            for mailbox in self.elements(MailboxSettings, "mailbox", (("namespace", namespace.name),))
        )

    @cached_property
    def hostname(self) -> str:
        """The name of this host: the setting, or what the system says."""
        import socket

        return self.section(MasterSettings).hostname or socket.getfqdn()

    def non_defaults(self) -> list[Assignment]:
        """Every assignment of the files and of ``-o``, in order of writing."""
        return sorted((one for one in self.tree.all() if one.level > 0), key=lambda one: one.order)


def _distinct_conditions(tree: Tree) -> list[Conditions]:
    always = Conditions()
    found = dict.fromkeys(one.conditions for one in tree.all())
    return [conditions for conditions in found if conditions != always]
