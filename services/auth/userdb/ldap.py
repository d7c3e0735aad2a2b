"""userdb ldap: the block's ``fields`` made of a user's entry; a list of all users (``services/auth/ldap``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.errors import ConfigError
from roost.settings.schema.auth import UserdbSettings
from services.auth.known_variables import dependencies
from services.auth.ldap.escape import is_plain
from services.auth.ldap.opening import filter_template, find_one, open_directory
from services.auth.ldap.templates import Fields, Template
from services.auth.passdb.base import DriverContext

FILTER_KEY = "userdb_ldap_filter"
ITERATE_KEY = "userdb_ldap_iterate_filter"
ITERATE_FIELDS_KEY = "userdb_ldap_iterate_fields"


class Ldap:
    """See the head of this file."""

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        self._directory = open_directory(settings, context)
        self._base = Template(settings.ldap_base, "ldap_base")
        self._scope = settings.ldap_scope
        self._filter = filter_template(settings.ldap_filter, FILTER_KEY)
        self._fields = Fields(settings.fields, f"userdb {settings.name}")
        self._all: Template | None = None
        if settings.ldap_iterate_filter:
            self._all = filter_template(settings.ldap_iterate_filter, ITERATE_KEY)
            if "user" not in settings.ldap_iterate_fields:
                raise ConfigError("needs user (for example %{ldap:uid})", key=ITERATE_FIELDS_KEY)
        self._names = Fields(
            {name: text for name, text in settings.ldap_iterate_fields.items() if name == "user"}, ITERATE_FIELDS_KEY
        )
        self.variables: frozenset[str] | None = dependencies(self._base.names | self._filter.names | self._fields.names)

    async def find(self, query: Query) -> Mapping[str, str] | None:
        if not is_plain(query.user):
            return None
        base, text = self._base.made(query), self._filter.made(query)
        found = await find_one(
            self._directory, base, text, self._scope, self._fields.attributes, fixed=self._base.fixed
        )
        return None if found is None else self._fields.made(query, found)

    def iterate(self) -> AsyncIterator[str] | None:
        """Every user; None without a filter for that, or when there is a base for each user."""
        return self._listed(self._all) if self._all is not None and self._base.fixed else None

    async def close(self) -> None:
        """At the end of the process."""
        await self._directory.close()

    async def _listed(self, all_users: Template) -> AsyncIterator[str]:
        nobody = Query("")
        pages = self._directory.pages(self._base.made(nobody), all_users.made(nobody), self._names.attributes)
        async for page in pages:
            for answer in page:
                name = self._names.made(nobody, answer).get("user")
                if name:
                    yield name
