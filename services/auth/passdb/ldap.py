"""passdb ldap: the directory verifies the password (``passdb_ldap_bind``), or says what is stored.

``services/auth/ldap`` has the rest. The block's ``fields`` are made here: they hold attributes (``%{ldap:mail}``).

Who is not found costs a search and a bind, like everybody else: the given password is tried at a name that nobody has.
"""

from __future__ import annotations

import os

from roost.auth.api import Entry, Outcome, Query
from roost.errors import ConfigError
from roost.settings.schema.auth import PassdbSettings
from roost.util.secret import Secret
from services.auth.known_variables import dependencies
from services.auth.ldap.escape import is_plain
from services.auth.ldap.opening import filter_template, find_one, open_directory
from services.auth.ldap.templates import Answer, Fields, Template
from services.auth.passdb.base import DriverContext

FILTER_KEY = "passdb_ldap_filter"
USERDN_KEY = "passdb_ldap_bind_userdn"
PASSWORDS = frozenset({"password", "password_noscheme", "nopassword", "noauthenticate"})
ANYTHING = "(objectClass=*)"


class Ldap:
    """See the head of this file. ``verifies`` with binds; otherwise ``fields`` has a password."""

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self.verifies = settings.ldap_bind
        self.credentials = not settings.ldap_bind
        self._directory = open_directory(settings, context)
        self._base = Template(settings.ldap_base, "ldap_base")
        self._scope = settings.ldap_scope
        self._fields = Fields(settings.fields, f"passdb {settings.name}")
        self._userdn = Template(settings.ldap_bind_userdn, USERDN_KEY)
        if self._userdn and not settings.ldap_bind:
            raise ConfigError("has a meaning only with passdb_ldap_bind = yes", key=USERDN_KEY)
        needed = not self._userdn or settings.ldap_filter
        self._filter = filter_template(settings.ldap_filter, FILTER_KEY) if needed else Template("", FILTER_KEY)
        if not settings.ldap_bind and not settings.deny and not PASSWORDS & set(settings.fields):
            raise ConfigError(
                "without passdb_ldap_bind = yes, fields must hold password (for example %{ldap:userPassword})",
                key=f"passdb {settings.name}",
            )
        self._nobody = os.urandom(16).hex()
        self._typical = ""
        self.variables: frozenset[str] | None = dependencies(
            self._base.names | self._filter.names | self._userdn.names | self._fields.names
        )

    async def find(self, query: Query) -> Entry | None:
        if not is_plain(query.user):
            return None
        if not self._filter:
            return Entry(outcome=Outcome.SCHEME_NOT_AVAILABLE, reason="only a bind can tell")
        found = await self._search(query)
        if found is None:
            return None
        fields = self._fields.made(query, found)
        password = fields.pop("password", None)
        if self.verifies:
            return Entry(None, fields)
        if password:
            self._typical = password
        return Entry(password, fields)

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        octets = password.reveal()
        if not octets:  # a server would take it for an anonymous bind, which works
            return Entry(outcome=Outcome.MISMATCH, reason="empty password")
        if not is_plain(query.user):
            return None
        found: Answer | None
        if self._userdn:
            found = Answer(self._userdn.made(query))
        else:
            found = await self._search(query)
        if found is None or not found.dn:
            await self._directory.verify(f"cn={self._nobody},{self._base.made(query)}".rstrip(","), octets)
            return None
        outcome, reason = await self._directory.verify(found.dn, octets)
        if outcome is not Outcome.OK:
            return Entry(outcome=outcome, reason=reason)
        if self._userdn and self._fields.from_entry:
            found = await self._read(query, found.dn) or found
        fields = self._fields.made(query, found)
        fields.pop("password", None)
        return Entry(None, fields)

    async def _search(self, query: Query) -> Answer | None:
        base, text = self._base.made(query), self._filter.made(query)
        return await find_one(self._directory, base, text, self._scope, self._fields.attributes, fixed=self._base.fixed)

    async def _read(self, query: Query, dn: str) -> Answer | None:
        """The entry that was bound as."""
        if self._filter:
            return await self._search(query)
        return await find_one(self._directory, dn, ANYTHING, "base", self._fields.attributes, fixed=False)

    async def close(self) -> None:
        """At the end of the process."""
        await self._directory.close()

    def decoy(self) -> str:
        """What was found last."""
        return self._typical
