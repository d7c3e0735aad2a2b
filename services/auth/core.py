"""The decisions of the room: authenticate somebody, look a user up, list the users. No socket here.

Both connection kinds stand on it: ``client`` (authentication) and ``lookups`` (master and userdb sockets).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from roost.auth.api import Query
from roost.errors import RoostError, Unavailable
from roost.events.log import Log
from roost.ipc import auth as wire
from roost.ipc.lines import to_octets
from roost.sasl.base import Anonymous, Lookup, Verify
from roost.settings.schema.auth import AuthSettings
from services.auth.fields import visible
from services.auth.journal import Journal
from services.auth.passdbs import PassdbChain, PassdbOutcome, Result
from services.auth.userdbs import Found, UserdbChain, UserdbOutcome
from services.auth.username import BadName, NameRules, password_allowed


@dataclass(slots=True)
class Verdict:
    """The end of an authentication.

    ``ok``: ``fields`` are what OK shows beside the user (None: bare); ``userdb`` the userdb's answer when it was asked
    for; ``final`` what the mechanism's server still has to say.
    Otherwise ``code`` and ``reason`` of FAIL; ``internal``: not the client's fault; ``nodelay``: answer at once.
    """

    ok: bool
    user: str = ""
    fields: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    userdb: Mapping[str, str] | None = None
    code: str = ""
    reason: str = ""
    internal: bool = False
    nodelay: bool = False
    final: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Candidate:
    """Somebody who has yet to prove who he is, and ``credentials`` to judge that by.

    Nothing that the client sees before it has answered tells whether ``outcome`` is good.
    """

    query: Query
    name: str
    original: str
    outcome: PassdbOutcome = field(repr=False)
    credentials: bytes = field(repr=False)
    journal: Journal = field(repr=False)

    @property
    def temporary(self) -> bool:
        return self.outcome.result is Result.INTERNAL


class Authenticator:
    """Everything that decides, for one configuration. ``passdbs``, ``userdbs``: the chains of a protocol."""

    def __init__(
        self,
        settings: AuthSettings,
        names: NameRules,
        passdbs: Callable[[str], PassdbChain],
        userdbs: Callable[[str], UserdbChain],
        log: Log,
        *,
        verbose: bool,
        debug: bool,
    ) -> None:
        self.settings = settings
        self._names = names
        self._passdbs = passdbs
        self._userdbs = userdbs
        self._log = log
        self._verbose = verbose
        self._debug = debug

    def journal(self, user: str, mechanism: str, parameters: wire.Parameters) -> Journal:
        debug = self._debug or parameters.bare(b"debug")
        return Journal(self._log, user, mechanism, parameters, verbose=self._verbose, debug=debug)

    async def authenticate(
        self, verify: Verify, mechanism: str, parameters: wire.Parameters, *, key: str, with_userdb: bool
    ) -> Verdict:
        """Is this who they say? ``key``: whose turn a slow hash takes when the client's address is not known."""
        journal = self.journal(verify.authcid.decode("utf-8", "replace"), mechanism, parameters)
        try:
            name = self._names.name_of(verify.authcid)
        except BadName as error:
            journal.failed("", error.detail)
            return Verdict(False)
        journal.user = name
        if verify.authzid:
            target = verify.authzid.decode("utf-8", "replace")[:64]
            journal.failed("", f"Attempted master login with no master passdbs (trying to log in as user: {target})")
            return Verdict(False, name)
        if not password_allowed(verify.password.reveal()):
            journal.failed("", "Attempted login with password having illegal chars")
            return Verdict(False, name)
        original = verify.authcid.decode("utf-8")
        query = Query(name, parameters, mechanism, original, False, parameters.service)
        outcome = await self._passdbs(query.service).ask(query, verify.password, key, journal)
        if journal.stepping:
            journal.step("", "passdb lookup finished: " + outcome.result.value)
        if outcome.result is not Result.OK:
            return _refusal(outcome)
        return await self._welcome(query, outcome, original, journal, with_userdb)

    async def candidate(self, lookup: Lookup, mechanism: str, parameters: wire.Parameters, *, key: str) -> Candidate:
        """Whom the databases know by this name, for a mechanism that sees no password. Who must not get in (no such
        user, a broken name, no usable password, wrong network) becomes a candidate like any other, until ``admit``."""
        original = lookup.authcid.decode("utf-8", "replace")
        journal = self.journal(original, mechanism, parameters)
        refused = ""
        try:
            name = self._names.name_of(lookup.authcid)
        except BadName as error:
            name, refused = original, error.detail
        if not refused and lookup.authzid:
            refused = "Attempted master login with no master passdbs"
        journal.user = name
        query = Query(name, parameters, mechanism, original, False, parameters.service)
        chain = self._passdbs(query.service)
        wanted = chain.wanted(lookup.scheme, name)
        if refused:
            journal.failed("", refused)
            outcome = await chain.pretend(query, wanted, key)
        else:
            outcome = await chain.ask(query, wanted, key, journal)
        if journal.stepping:
            journal.step("", "passdb lookup finished: " + outcome.result.value)
        return Candidate(query, name, original, outcome, wanted.data, journal)

    async def admit(self, candidate: Candidate, *, with_userdb: bool) -> Verdict:
        """The proof is right; but was the candidate real?"""
        if candidate.outcome.result is not Result.OK:
            return self.refuted(candidate)
        return await self._welcome(
            candidate.query, candidate.outcome, candidate.original, candidate.journal, with_userdb
        )

    def refuted(self, candidate: Candidate) -> Verdict:
        """The proof is wrong, or counts for nothing."""
        if candidate.outcome.result is Result.OK:
            candidate.journal.failed("", "Password mismatch")
        return Verdict(False, candidate.name)

    async def anonymous(
        self, anonymous: Anonymous, mechanism: str, parameters: wire.Parameters, *, with_userdb: bool
    ) -> Verdict:
        """Somebody who does not say who: ``auth_anonymous_username``, without a question to the passdbs."""
        user = self.settings.auth_anonymous_username
        journal = self.journal(user, mechanism, parameters)
        if journal.stepping:
            journal.step("", f"anonymous login (trace: {anonymous.trace!r})")
        query = Query(user, parameters, mechanism, user, False, parameters.service)
        verdict = await self._welcome(query, PassdbOutcome(Result.OK, user), user, journal, with_userdb)
        if verdict.ok:
            verdict.fields = {**verdict.fields, "anonymous": None}
        return verdict

    async def _welcome(
        self, query: Query, outcome: PassdbOutcome, original: str, journal: Journal, with_userdb: bool
    ) -> Verdict:
        """A passdb has proved the user: what OK says, with the userdbs' answer if it is wanted."""
        fields = visible(outcome.fields) if outcome.fields else {}
        if outcome.user != original:
            fields["original_user"] = original
        verdict = Verdict(True, outcome.user, fields, nodelay="nodelay" in outcome.fields)
        if with_userdb and "nologin" not in fields:
            query.user, query.authenticated = outcome.user, True
            found = await self._userdbs(query.service).ask(query, journal)
            if journal.stepping:
                journal.step("", "userdb lookup finished: " + found.result.value)
            if found.result is not Found.OK:
                if found.result is Found.UNKNOWN:
                    journal.error("", "user not found from any userdbs")
                return Verdict(False, outcome.user, code=wire.TEMP_FAIL, internal=True)
            verdict.userdb = found.fields
            if found.user != outcome.user:
                verdict.userdb = {**found.fields, "user": found.user}
        return verdict

    async def passdb_lookup(self, name: str, parameters: wire.Parameters) -> PassdbOutcome:
        """What the passdbs say about a user, without a password."""
        journal = self.journal(name, "", parameters)
        try:
            query = Query(self._names.normalise(name), parameters, "", name, False, parameters.service)
        except RoostError as error:
            journal.failed("", error.detail)
            return PassdbOutcome(Result.UNKNOWN, name)
        journal.user = query.user
        return await self._passdbs(query.service).ask(query, None, "", journal)

    async def userdb_lookup(
        self, name: str, parameters: wire.Parameters, *, authenticated: bool = False
    ) -> UserdbOutcome:
        """What the userdbs say about a user. ``authenticated``: a passdb has proved this very user."""
        journal = self.journal(name, "", parameters)
        try:
            user = name if authenticated else self._names.name_of(to_octets(name))
        except RoostError as error:
            journal.failed("", error.detail)
            return UserdbOutcome(Found.UNKNOWN, name)
        journal.user = user
        query = Query(user, parameters, "", name, authenticated, parameters.service)
        return await self._userdbs(query.service).ask(query, journal)

    async def exists(self, query: Query) -> bool:
        """Whether the passdbs know the user; for userdbs that cannot tell. Raises Unavailable."""
        journal = Journal(self._log, query.user, "", query.parameters, verbose=self._verbose, debug=self._debug)
        asked = Query(query.user, query.parameters, "", query.original_user, False, query.service)
        outcome = await self._passdbs(asked.service).ask(asked, None, "", journal)
        if outcome.result is Result.INTERNAL:
            raise Unavailable("Temporary authentication failure.", detail="the passdb lookup failed")
        return outcome.result is Result.OK

    def users(self, parameters: wire.Parameters) -> AsyncIterator[str]:
        """Every user's name. Raises Unavailable while iterating."""
        return self._userdbs(parameters.service).iterate()


def _refusal(outcome: PassdbOutcome) -> Verdict:
    if outcome.result is Result.INTERNAL:
        return Verdict(False, outcome.user, code=wire.TEMP_FAIL, internal=True)
    return Verdict(False, outcome.user)
