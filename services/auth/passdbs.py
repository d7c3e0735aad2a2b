"""The passdbs in their order: is this the right password, and what do the databases say about the user?

Each database is asked in turn; the rule for its outcome (``result_success``, ``result_failure``,
``result_internalfail``) says whether to stop and what the state is by then. The state begins as failure. After a
``continue`` rule on success the password counts as verified and later databases are only looked up. Fields of a
database that failed are dropped, with a change of the user's name.

An unknown user costs what a known one with a wrong password costs: the given password is verified against a decoy.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from roost.auth.api import Entry, Passdb, Query
from roost.errors import RoostError
from roost.settings.schema.auth import PassdbSettings
from roost.util.secret import Secret
from roost.util.wildcard import selected
from services.auth import nets
from services.auth.credentials import Fakes, Wanted
from services.auth.fields import OWN, USERDB_PREFIX, merge, renamed
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.schemes import BadHash, Scheme, Stored, parse
from services.auth.templates import FieldTemplates

NETWORK_FIELDS = ("allow_nets", "allow_real_nets")
LOOKUP = "lookup"  # what mechanisms_filter calls a question without a password


class Result(enum.Enum):
    """The outcome of one passdb, or of all."""

    OK = "ok"
    MISMATCH = "password_mismatch"
    UNKNOWN = "user_unknown"
    DENIED = "denied"
    NEXT = "next"
    INTERNAL = "internal_failure"


@dataclass(slots=True)
class PassdbOutcome:
    """``fields`` hold everything the databases said, hidden ones too (``fields.visible``)."""

    result: Result
    user: str
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    userdb_fields: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PassdbRow:
    """One configured passdb."""

    name: str
    settings: PassdbSettings
    driver: Passdb
    templates: FieldTemplates
    default_scheme: str
    decoy: Stored | None  # of the default scheme, for drivers that have no better one


class PassdbChain:
    """All of them; ``schemes`` are those that may be used to log in."""

    def __init__(self, rows: list[PassdbRow], schemes: Mapping[str, Scheme], hasher: Hasher, fakes: Fakes) -> None:
        self.rows = rows
        self._fakes = fakes
        self._schemes = schemes
        self._hasher = hasher

    def wanted(self, scheme: str, user: str) -> Wanted:
        """The question for what is stored about ``user`` in the form of ``scheme``."""
        return Wanted(scheme, user, self._fakes, self._hasher)

    async def pretend(self, query: Query, wanted: Wanted, key: str) -> PassdbOutcome:
        """As if no database knew the user, for one that none of them is asked for."""
        try:
            for row in self.rows:
                await self._waste(row, query, wanted, key)
        except RoostError:
            return PassdbOutcome(Result.INTERNAL, query.user)
        return PassdbOutcome(Result.UNKNOWN, query.user)

    async def ask(self, query: Query, password: Secret | Wanted | None, key: str, journal: Journal) -> PassdbOutcome:
        """Verify ``password``, or find what is ``Wanted``, or only look the user up when it is None. ``key``: whose
        turn hashing takes when the client's address is not known.

        ``query.user`` is changed when a database renames the user.
        """
        outcome = PassdbOutcome(Result.UNKNOWN, query.user)
        success = verified = internal_seen = asked = False
        for row in self.rows:
            settings = row.settings
            if settings.skip != "never" and (settings.skip == "authenticated") == success:
                continue
            if not _wanted(settings, query):
                continue
            asked = True
            before, fields = query.user, outcome.fields.copy()
            result = await self._ask_one(row, query, password, verified, fields, key, journal)
            if settings.deny:
                if result is Result.UNKNOWN:
                    continue
                outcome.result = result if result is Result.INTERNAL else Result.DENIED
                if result is not Result.INTERNAL:
                    journal.failed(row.name, "User found from deny passdb")
                return outcome
            outcome.result = result
            if result is Result.OK:
                rule = settings.result_success
                outcome.fields = fields
                verified = True
            else:
                query.user = before
                if result is Result.NEXT:
                    rule = "continue"
                    outcome.fields = fields
                    query.user = renamed(before, fields)
                elif result is Result.INTERNAL:
                    rule = settings.result_internalfail
                    internal_seen = True
                else:
                    rule = settings.result_failure
            if outcome.fields:
                for name in OWN:
                    outcome.fields.pop(name, None)
            if rule.endswith("-ok"):
                success = True
            elif rule.endswith("-fail"):
                success = False
            if rule.startswith("return"):
                break
        return _conclude(outcome, query, success, internal_seen, asked, journal)

    async def _ask_one(
        self,
        row: PassdbRow,
        query: Query,
        password: Secret | Wanted | None,
        verified: bool,
        fields: dict[str, str],
        key: str,
        journal: Journal,
    ) -> Result:
        """One database's answer; its fields are merged into ``fields``."""
        try:
            entry = await row.driver.find(query)
            if entry is None:
                if password is not None and not verified:
                    await self._waste(row, query, password, key)
                journal.failed(row.name, "unknown user")
                return Result.UNKNOWN
            if row.settings.deny:
                return Result.OK
            self._merge(row, query, entry, fields)
            if verified or password is None:
                result = Result.OK
            elif "noauthenticate" in fields:
                return Result.NEXT
            else:
                result = await self._verify(row, query, entry, fields, password, key, journal)
            if result is Result.OK and fields:
                result = _check_fields(row, query, fields, journal, authenticating=password is not None)
        except RoostError as error:
            journal.error(row.name, error.detail or error.client_text)
            return Result.INTERNAL
        if result is Result.OK and fields:
            query.user = renamed(query.user, fields)
            for name in ("user", "username", "domain"):
                fields.pop(name, None)
        return result

    def _merge(self, row: PassdbRow, query: Query, entry: Entry, fields: dict[str, str]) -> None:
        """The driver's fields and then those of the block. Raises ConfigError for a broken template."""
        if entry.fields and row.settings.fields_import_all:
            merge(fields, entry.fields)
        if row.templates:
            merge(fields, row.templates.expanded(query, entry.fields, "passdb"))

    async def _verify(
        self,
        row: PassdbRow,
        query: Query,
        entry: Entry,
        fields: dict[str, str],
        password: Secret | Wanted,
        key: str,
        journal: Journal,
    ) -> Result:
        if "nopassword" in fields and not isinstance(password, Wanted):
            return Result.OK
        text = fields.get("password") or entry.password
        try:
            if "password_noscheme" in fields:
                stored = Stored(self._schemes["PLAIN"], fields["password_noscheme"].encode("utf-8", "surrogateescape"))
            elif text:
                stored = parse(text, self._schemes, row.default_scheme)
            else:
                await self._waste(row, query, password, key)
                journal.failed(row.name, "No password returned (and no nopassword)")
                return Result.MISMATCH
            if isinstance(password, Wanted):
                refusal = await password.take(stored, query.parameters.get("rip") or key)
                if not refusal:
                    return Result.OK
                await self._waste(row, query, password, key)
                journal.failed(row.name, refusal)
                return Result.MISMATCH
            if stored.scheme.slow:
                matches = await self._hasher.verify(stored, password.reveal(), query.parameters.get("rip") or key)
            else:
                matches = stored.verify(password.reveal())
        except BadHash as error:
            await self._waste(row, query, password, key)
            journal.error(row.name, error.detail)
            return Result.MISMATCH
        if matches and stored.data:
            return Result.OK
        journal.failed(row.name, "Password mismatch")
        return Result.MISMATCH

    async def _waste(self, row: PassdbRow, query: Query, password: Secret | Wanted, key: str) -> None:
        """Spend the time a verification takes. Raises Unavailable when too many wait, as a verification does."""
        text = row.driver.decoy()
        stored = row.decoy
        if text:
            try:
                stored = parse(text, self._schemes, row.default_scheme)
            except BadHash:
                pass
        if isinstance(password, Wanted):
            await password.pretend(stored, query.parameters.get("rip") or key)
        elif stored is not None:
            try:
                await self._hasher.verify(stored, password.reveal(), query.parameters.get("rip") or key)
            except BadHash:
                pass


def _wanted(settings: PassdbSettings, query: Query) -> bool:
    if settings.mechanisms_filter:
        mechanism = query.mechanism or LOOKUP
        if mechanism not in {name.lower() for name in settings.mechanisms_filter}:
            return False
    return not settings.username_filter or selected(settings.username_filter, query.user)


def _check_fields(
    row: PassdbRow, query: Query, fields: Mapping[str, str], journal: Journal, *, authenticating: bool
) -> Result:
    """The fields that turn a right password down."""
    if "fail" in fields:
        journal.failed(row.name, "fail field is set")
        return Result.MISMATCH
    if not authenticating:
        return Result.OK
    for name in NETWORK_FIELDS:
        if name in fields:
            given = query.parameters
            address = (given.get("real_rip") if name == "allow_real_nets" else None) or given.get("rip", "")
            why = nets.refusal(name, fields[name], address)
            if why:
                journal.failed(row.name, why)
                return Result.MISMATCH
    return Result.OK


def _conclude(
    outcome: PassdbOutcome, query: Query, success: bool, internal_seen: bool, asked: bool, journal: Journal
) -> PassdbOutcome:
    """The end of the list: the state decides; without success an internal failure outweighs a mismatch."""
    if not asked:
        journal.error("", "All password databases were skipped")
        outcome.result = Result.INTERNAL
    elif success:
        outcome.result = Result.OK
    elif outcome.result is Result.NEXT:
        journal.error("", "Last passdb had noauthenticate field, cannot authenticate user")
        outcome.result = Result.INTERNAL
    elif internal_seen:
        outcome.result = Result.INTERNAL
    elif outcome.result is Result.OK:
        outcome.result = Result.MISMATCH  # verified, and a rule turned it down
    outcome.user = query.user
    if outcome.fields:
        for name in [name for name in outcome.fields if name.startswith(USERDB_PREFIX)]:
            outcome.userdb_fields[name[len(USERDB_PREFIX) :]] = outcome.fields.pop(name)
    return outcome
