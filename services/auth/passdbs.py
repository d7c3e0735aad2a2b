"""The passdbs in their order: is this the right password, and what do the databases say about the user?

Each database is asked in turn; the rule for its outcome (``result_success``, ``result_failure``,
``result_internalfail``) says whether to stop and what the state is by then. The state begins as failure. After a
``continue`` rule on success the password counts as verified and later databases are only looked up. Fields of a
database that failed are dropped, with a change of the user's name. A user who is disabled, or whose password has
expired, ends the list as a failure whatever the rules are.

A master user wants to be somebody else (``Query.login_user``): the passdbs with ``master = yes`` are asked for him, and
then, if he proved himself, all others for that other user, without a password. That one must exist, unless no database
can be asked without a password and the master database's rule was ``return-ok``.

An unknown user costs what a known one with a wrong password costs: the given password is verified against a decoy.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from roost.auth.api import TOKEN_FAILURE, Entry, Query
from roost.errors import RoostError
from roost.util.secret import Secret
from roost.util.wildcard import selected
from services.auth import checks
from services.auth.credentials import Fakes, Wanted
from services.auth.fields import OWN, USERDB_PREFIX, merge, renamed
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.remembered import FIND, VERIFY, Recall
from services.auth.results import ENDING, RESULTS, TEXTS, PassdbOutcome, Result
from services.auth.rows import LOOKUP, TOKEN_MECHANISMS, Judge, PassdbRow
from services.auth.schemes import Scheme
from services.auth.tasks import in_task

__all__ = ["PassdbChain", "PassdbOutcome", "PassdbRow", "Result"]

EXTERNAL = "external"  # TLS has proved the client, nobody has a password

_random = random.SystemRandom()


class _Walk:
    """How far the list has been walked."""

    __slots__ = ("asked", "internal_seen", "rule", "success", "verified")

    def __init__(self, *, verified: bool) -> None:
        self.verified = verified  # the password is proved: only look up
        self.success = self.internal_seen = self.asked = False
        self.rule = ""  # the last one applied


class PassdbChain:
    """All of them; ``schemes`` are those that may be used to log in."""

    def __init__(self, rows: list[PassdbRow], schemes: Mapping[str, Scheme], hasher: Hasher, fakes: Fakes) -> None:
        self.rows = [row for row in rows if not row.settings.master]
        self.masters = [row for row in rows if row.settings.master]
        self._fakes = fakes
        self._hasher = hasher
        self.judge = Judge(schemes, hasher)
        self.plain = len(rows) == 1 and rows[0].plain
        """One database and nothing special: its entry alone decides (fields of the entry may still say more)."""

    def wanted(self, scheme: str, user: str, hashed_as: bytes = b"") -> Wanted:
        """The question for what is stored about ``user`` in the form of ``scheme``. ``hashed_as``: of ``Lookup``."""
        return Wanted(scheme, user, self._fakes, self._hasher, hashed_as)

    async def pretend(self, query: Query, password: Secret | Wanted, key: str) -> PassdbOutcome:
        """As if no database knew the user, for one that none of them is asked for."""
        try:
            for row in self.rows:
                await self.judge.waste(row, query, password, key)
        except RoostError:
            return PassdbOutcome(Result.INTERNAL, query.user)
        return PassdbOutcome(Result.UNKNOWN, query.user)

    async def ask(self, query: Query, password: Secret | Wanted | None, key: str, journal: Journal) -> PassdbOutcome:
        """Verify ``password``, or find what is ``Wanted``, or only look the user up when it is None. ``key``: whose
        turn hashing takes when the client's address is not known.

        ``query.user`` is changed when a database renames the user, and when a master user becomes another. With
        Wanted, a master user becomes nobody else here: the proof is yet to come, ``become`` is for afterwards.
        """
        outcome = PassdbOutcome(Result.UNKNOWN, query.user)
        walk = _Walk(verified=False)
        await self._walk(self.masters if query.login_user else self.rows, query, password, walk, outcome, key, journal)
        self._conclude(walk, outcome, query, journal)
        if query.login_user and outcome.result is Result.OK:
            outcome.lookup_optional = walk.rule == "return-ok"
            if not isinstance(password, Wanted):
                await self.become(query, outcome, journal)
        return outcome

    async def become(self, query: Query, outcome: PassdbOutcome, journal: Journal) -> Result:
        """The master user has proved himself: is there whom he wants to be? Changes ``query`` and ``outcome``."""
        journal.step("", f"Master user logging in as {query.login_user}")
        outcome.master_user = query.master_user = query.user
        query.user, query.login_user = query.login_user, ""
        outcome.user = query.user
        for name, value in outcome.userdb_fields.items():
            outcome.fields[USERDB_PREFIX + name] = value
        outcome.userdb_fields = {}
        walk = _Walk(verified=True)
        outcome.result = Result.UNKNOWN
        await self._walk(self.rows, query, None, walk, outcome, "", journal)
        if outcome.lookup_optional and (not walk.asked or outcome.result is Result.SCHEME) and not walk.internal_seen:
            outcome.proved, walk.asked, walk.success = False, True, True
        self._conclude(walk, outcome, query, journal)
        return outcome.result

    async def _walk(
        self,
        rows: list[PassdbRow],
        query: Query,
        password: Secret | Wanted | None,
        walk: _Walk,
        outcome: PassdbOutcome,
        key: str,
        journal: Journal,
    ) -> None:
        for row in rows:
            settings = row.settings
            if settings.skip != "never" and (settings.skip == "authenticated") == walk.success:
                continue
            if not _applies(row, query):
                continue
            walk.asked = True
            before, fields = query.user, outcome.fields.copy()
            query.passdb_fields, query.authenticated = outcome.fields, walk.verified
            result = await self._ask_one(row, query, password, walk.verified, fields, outcome, key, journal)
            if settings.deny:
                if result is Result.UNKNOWN:
                    continue
                outcome.result = result if result is Result.INTERNAL else Result.DENIED
                if result is not Result.INTERNAL:
                    journal.failed(row.name, "User found from deny passdb")
                walk.success = False
                walk.rule = "return-fail"
                return
            outcome.result = result
            if result is Result.OK:
                rule = settings.result_success
                outcome.fields = fields
                walk.verified = True
            else:
                query.user = before
                if result in ENDING:
                    rule = "return-fail"
                elif result is Result.NEXT:
                    rule = "continue"
                    outcome.fields = fields
                    query.user = renamed(before, fields)
                elif result is Result.INTERNAL:
                    rule = settings.result_internalfail
                    walk.internal_seen = query.seen_internal = True
                else:
                    rule = settings.result_failure
                    query.seen_unknown = query.seen_unknown or result is Result.UNKNOWN
            if outcome.fields:
                for name in OWN:
                    outcome.fields.pop(name, None)
            walk.rule = rule
            if rule.endswith("-ok"):
                walk.success = True
            elif rule.endswith("-fail"):
                walk.success = False
            if rule.startswith("return"):
                return
            if result is Result.OK and query.login_user:
                walk.success = True  # the master is proved; what the rule left open is asked about the other user
                return

    async def _ask_one(
        self,
        row: PassdbRow,
        query: Query,
        password: Secret | Wanted | None,
        verified: bool,
        fields: dict[str, str],
        outcome: PassdbOutcome,
        key: str,
        journal: Journal,
    ) -> Result:
        """One database's answer, or what the cache remembers of it; its fields are merged into ``fields``."""
        kind = _kind(row, query, password, verified)
        memory = row.memory
        if memory is None or kind is None:
            return await self._ask_driver(row, query, password, verified, fields, outcome, key, journal, None)
        recall = Recall(memory, query, kind, journal)
        given = password if isinstance(password, Secret) and not verified else None
        before = fields.copy()
        spoken = journal.muted() if recall.doubtful and given is not None else journal
        result = await self._ask_driver(row, query, password, verified, fields, outcome, key, spoken, recall)
        settled = recall.settle(result, given)
        if settled is None:  # perhaps the password is another one by now
            fields.clear()
            fields.update(before)
            recall = Recall(memory, query, kind, journal, look=False)
            result = await self._ask_driver(row, query, password, verified, fields, outcome, key, journal, recall)
            settled = recall.settle(result, given)
        if isinstance(password, Wanted):
            outcome.recalls.append(recall)
        return result if settled is None else settled

    async def _ask_driver(
        self,
        row: PassdbRow,
        query: Query,
        password: Secret | Wanted | None,
        verified: bool,
        fields: dict[str, str],
        outcome: PassdbOutcome,
        key: str,
        journal: Journal,
        recall: Recall | None,
    ) -> Result:
        """``recall``: asks the driver, unless the cache knows the answer."""
        authenticating = verified or password is not None
        entry: Entry | None = None
        try:
            by_itself = asked = False
            if isinstance(password, Secret) and not verified and not row.settings.deny:
                if query.mechanism in TOKEN_MECHANISMS and row.token_verifier is not None:
                    by_itself = asked = True
                    await in_task(row.driver)
                    entry = await row.token_verifier.verify_token(query, password)
                elif (verifier := row.verifier) is not None and query.mechanism != EXTERNAL:
                    if not password.reveal():  # some servers take an empty password for no question at all
                        journal.failed(row.name, "Login attempt with empty password")
                        return Result.MISMATCH
                    asked = True
                    if recall is None:
                        await in_task(row.driver)
                        entry = await verifier.verify(query, password)
                    else:
                        entry = await recall.verify(verifier, password)
                    by_itself = entry is None or not entry.unverified
            if not asked:
                if recall is None:
                    await in_task(row.driver)
                    entry = await row.driver.find(query)
                else:
                    entry = await recall.find(row.driver)
            result = Result.UNKNOWN if entry is None else RESULTS[entry.outcome]
            if entry is None or result is Result.UNKNOWN:
                if password is not None and not verified and not by_itself:
                    await self.judge.waste(row, query, password, key)
                journal.failed(row.name, _text(Result.UNKNOWN, entry) + journal.given)
                return Result.UNKNOWN
            if row.settings.deny:
                return Result.OK
            self._merge(row, query, entry, fields, found=result in (Result.OK, Result.NEXT))
            if fields:
                outcome.nodelay = outcome.nodelay or "nodelay" in fields
            if result is not Result.OK:
                journal.failed(row.name, _text(result, entry) + (journal.given if result is Result.MISMATCH else ""))
                outcome.reason = fields.get("reason", "")
                outcome.token_failure = fields.get(TOKEN_FAILURE, "")
                return result
            if authenticating and not verified and "noauthenticate" in fields:
                return Result.NEXT
            if password is not None and not verified and not by_itself:
                result = await self.judge.judge(row, query, entry, fields, password, key, journal)
            if result is Result.OK and fields:
                result = self._checked(row, query, fields, outcome, journal, authenticating=authenticating)
        except RoostError as error:
            journal.error(row.name, error.detail or error.client_text)
            return Result.INTERNAL
        except Exception:
            journal.exception(f"{row.name}: the driver failed")
            return Result.INTERNAL
        if result is Result.OK and fields:
            query.user = renamed(query.user, fields)
            for name in ("user", "username", "domain"):
                fields.pop(name, None)
            if authenticating and not query.master_user and fields.get("login_user"):
                query.login_user = fields["login_user"]
        return result

    def _merge(self, row: PassdbRow, query: Query, entry: Entry, fields: dict[str, str], *, found: bool) -> None:
        """The driver's fields and then those of the block. Raises ConfigError, Refused for a template that does not
        work out, unless nothing was ``found`` for it to show."""
        if entry.fields and row.settings.fields_import_all:
            merge(fields, entry.fields)
        if row.templates:
            try:
                merge(fields, row.templates.expanded(query, entry.fields, "passdb", entry.variables))
            except RoostError:
                if found:
                    raise

    def _checked(
        self,
        row: PassdbRow,
        query: Query,
        fields: Mapping[str, str],
        outcome: PassdbOutcome,
        journal: Journal,
        *,
        authenticating: bool,
    ) -> Result:
        """The password is right; do the fields say otherwise?"""
        if not authenticating and "fail" not in fields:
            return Result.OK
        why = checks.refusal(query, fields)
        if not why and checks.DELAY_UNTIL in fields:
            try:
                until = checks.release_time(
                    fields[checks.DELAY_UNTIL], time.time(), lambda spread: _random.randint(0, spread)
                )
                outcome.delay_until = max(outcome.delay_until, until)
            except ValueError as error:
                journal.error(row.name, str(error))
                return Result.MISMATCH
        if why:
            journal.failed(row.name, why)
            outcome.reason = fields.get("reason", "")
            return Result.MISMATCH
        return Result.OK

    def _conclude(self, walk: _Walk, outcome: PassdbOutcome, query: Query, journal: Journal) -> None:
        """The end of the list: the state decides; without success an internal failure outweighs a mismatch."""
        if not walk.asked:
            journal.error("", "All password databases were skipped")
            outcome.result = Result.INTERNAL
        elif outcome.result in ENDING or outcome.result is Result.DENIED:
            pass
        elif walk.success:
            outcome.result = Result.OK
        elif outcome.result is Result.NEXT:
            journal.error("", "Last passdb had noauthenticate field, cannot authenticate user")
            outcome.result = Result.INTERNAL
        elif walk.internal_seen:
            outcome.result = Result.INTERNAL
        elif outcome.result is Result.OK:
            outcome.result = Result.MISMATCH  # verified, and a rule turned it down
        if outcome.result is Result.OK:
            outcome.reason = ""
        outcome.user = query.user
        if outcome.fields:
            for name in [name for name in outcome.fields if name.startswith(USERDB_PREFIX)]:
                outcome.userdb_fields[name[len(USERDB_PREFIX) :]] = outcome.fields.pop(name)


def _applies(row: PassdbRow, query: Query) -> bool:
    if row.mechanisms and (query.mechanism or LOOKUP) not in row.mechanisms:
        return False
    settings = row.settings
    return not settings.username_filter or selected(settings.username_filter, query.user)


def _kind(row: PassdbRow, query: Query, password: Secret | Wanted | None, verified: bool) -> str | None:
    """What sort of answer the cache may have; None: none."""
    if isinstance(password, Secret) and not verified and not row.settings.deny:
        if query.mechanism in TOKEN_MECHANISMS and row.token_verifier is not None:
            return None  # tokens expire
        if row.verifier is not None and query.mechanism != EXTERNAL:
            return VERIFY if password.reveal() else None
    return FIND


def _text(result: Result, entry: Entry | None) -> str:
    """The log's line about what a driver says by itself."""
    text = TEXTS[result]
    return f"{text} ({entry.reason[:200]})" if entry is not None and entry.reason else text
