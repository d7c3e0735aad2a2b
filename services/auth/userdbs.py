"""The userdbs in their order: where does a user live?

Found, not found and internal failure each have their rule (``result_success`` …), like the passdbs'. Fields of several
databases add up when the rules say continue. Without any userdb every user is found, with no fields.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from roost.auth.api import Query, Userdb
from roost.errors import RoostError, Unavailable
from roost.settings.schema.auth import UserdbSettings
from services.auth.fields import USERDB_IMPORT, merge, renamed
from services.auth.journal import Journal
from services.auth.owners import resolve
from services.auth.remembered import UserdbMemory
from services.auth.tasks import in_task
from services.auth.templates import FieldTemplates


class Found(enum.Enum):
    """The outcome of one userdb, or of all."""

    OK = "ok"
    UNKNOWN = "user_unknown"
    INTERNAL = "internal_failure"


@dataclass(slots=True)
class UserdbOutcome:
    result: Found
    user: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UserdbRow:
    """One configured userdb."""

    name: str
    settings: UserdbSettings
    driver: Userdb
    templates: FieldTemplates
    memory: UserdbMemory | None = None  # its answers may be kept


class UserdbChain:
    """All of them."""

    def __init__(self, rows: list[UserdbRow]) -> None:
        self.rows = rows

    async def ask(self, query: Query, journal: Journal) -> UserdbOutcome:
        """``query.user`` is changed when a database renames the user."""
        outcome = UserdbOutcome(Found.UNKNOWN, query.user)
        if not self.rows:
            outcome.result = Found.OK
            return outcome
        success = internal_seen = False
        for row in self.rows:
            settings = row.settings
            if settings.skip != "never" and (settings.skip == "found") == success:
                continue
            fields = dict(outcome.fields)
            query.userdb_fields = outcome.fields
            result = await self._ask_one(row, query, fields, journal)
            if result is Found.OK:
                rule = settings.result_success
                outcome.fields = fields
            elif result is Found.INTERNAL:
                rule = settings.result_internalfail
                internal_seen = query.seen_internal = True
            else:
                rule = settings.result_failure
            if rule.endswith("-ok"):
                success = True
            elif rule.endswith("-fail"):
                success = False
            if rule.startswith("return"):
                break
        outcome.user = query.user
        if success:
            outcome.result = Found.INTERNAL if "tempfail" in outcome.fields else Found.OK
        else:
            outcome.result = Found.INTERNAL if internal_seen else Found.UNKNOWN
        return outcome

    async def _ask_one(self, row: UserdbRow, query: Query, fields: dict[str, str], journal: Journal) -> Found:
        try:
            if row.memory is None:
                await in_task(row.driver)
                found = await row.driver.find(query)
            else:
                found = await row.memory.find(row.driver, query, journal)
            if found is None:
                journal.step(row.name, "unknown user")
                return Found.UNKNOWN
            if row.settings.fields_import_all:
                merge(fields, found, USERDB_IMPORT)
            if row.templates:
                merge(fields, row.templates.expanded(query, {**fields, **found}, "userdb"), USERDB_IMPORT)
            if fields:
                resolve(fields)
        except RoostError as error:
            journal.error(row.name, error.detail or error.client_text)
            return Found.INTERNAL
        except Exception:
            journal.exception(f"{row.name}: the driver failed")
            return Found.INTERNAL
        if fields:
            query.user = renamed(query.user, fields)
            fields.pop("username", None)
            fields.pop("domain", None)
        return Found.OK

    async def iterate(self) -> AsyncIterator[str]:
        """Every user of every userdb that can tell, each once a database.

        One that fails does not keep back the others' users. Raises Unavailable, at the end.
        """
        iterators = [names for row in self.rows if (names := row.driver.iterate()) is not None]
        if not iterators:
            raise Unavailable("Listing users failed.", detail="Trying to iterate users, but userdbs don't support it")
        failures: list[str] = []
        for names in iterators:
            try:
                async for name in names:
                    yield name
            except RoostError as error:
                failures.append(error.detail or error.client_text)
        if failures:
            raise Unavailable("Listing users failed.", detail="; ".join(failures))
