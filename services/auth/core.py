"""The decisions of the room: authenticate somebody, look a user up, list the users. No socket here.

Both connection kinds stand on it: ``client`` (authentication) and ``lookups`` (master and userdb sockets).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from roost.auth.api import NO_FIELDS, Query
from roost.errors import RoostError, Unavailable
from roost.events.log import Log
from roost.ipc import auth as wire
from roost.ipc.lines import to_octets
from roost.sasl.base import Anonymous, Lookup, Verify
from roost.settings.schema.auth import AuthSettings
from roost.util.secret import Secret
from services.auth.fields import PROXY, USERDB_PREFIX, settle_proxy, visible
from services.auth.given import Shown
from services.auth.journal import Journal
from services.auth.passdbs import PassdbChain, PassdbOutcome, Result
from services.auth.policy import REFUSED, Attempt, Policy
from services.auth.rows import TOKEN_MECHANISMS
from services.auth.userdbs import Found, UserdbChain, UserdbOutcome
from services.auth.username import BadName, NameRules, password_allowed


@dataclass(slots=True)
class Verdict:
    """The end of an authentication.

    ``ok``: ``fields`` are what OK shows beside the user (None: bare); ``userdb`` the userdb's answer when it was asked
    for; ``final`` what the mechanism's server still has to say.
    Otherwise ``code`` and ``reason`` of FAIL; ``internal``: not the client's fault; ``nodelay``: answer at once.
    ``delay_until``: in any case no answer before this time (Unix), if it is not 0.
    ``passdb_fields`` and ``master_user`` are for a later question to the userdbs (``userdb_lookup``).
    """

    ok: bool
    user: str = ""
    fields: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    userdb: Mapping[str, str] | None = None
    code: str = ""
    reason: str = ""
    internal: bool = False
    nodelay: bool = False
    delay_until: float = 0.0
    passdb_fields: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS, repr=False)
    master_user: str = ""
    final: bytes = field(default=b"", repr=False)
    token_failure: str = ""  # a value of ``TokenFailure``, when a database says more than "no"


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
    attempt: Attempt | None = field(default=None, repr=False)  # as the policy server sees it

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
        shown: Shown | None = None,
    ) -> None:
        """``shown``: what the log may tell of wrong passwords."""
        self._shown = shown
        self.settings = settings
        self.policy: Policy | None = None
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
        self,
        verify: Verify,
        mechanism: str,
        parameters: wire.Parameters,
        *,
        key: str,
        with_userdb: bool,
        login: bool = False,
    ) -> Verdict:
        """Is this who they say? ``key``: whose turn a slow hash takes when the client's address is not known.

        ``login``: the asker is a login room, which is told how a proxy would go on (``pass``, ``master``).
        """
        journal = self.journal(verify.authcid.decode("utf-8", "replace"), mechanism, parameters)
        try:
            name, wanted = self._names.who(verify.authcid, verify.authzid)
        except BadName as error:
            journal.failed("", error.detail)
            return Verdict(False)
        journal.user = name
        chain = self._passdbs(parameters.service)
        if wanted and not chain.masters:
            journal.failed("", _no_masters(wanted))
            return Verdict(False, name)
        if not password_allowed(verify.password.reveal()):
            journal.failed("", "Attempted login with password having illegal chars")
            return Verdict(False, name)
        original = verify.authcid.decode("utf-8")
        query = Query(name, parameters, mechanism, original, False, parameters.service, "", wanted)
        if self._shown is not None and mechanism not in TOKEN_MECHANISMS:  # a token may be good for others
            journal.given = self._shown.text(verify.password.reveal())
        attempt = Attempt(self.policy, query, verify.password, journal) if self.policy is not None else None
        if attempt is not None and not await attempt.before():
            return await self._judged(attempt, Verdict(False, name))
        outcome = await chain.ask(query, verify.password, key, journal)
        if journal.stepping:
            journal.step("", "passdb lookup finished: " + outcome.result.value)
        if outcome.result is not Result.OK:
            verdict = _refusal(outcome)
        else:
            shown = verify.password if login else None
            verdict = await self._welcome(query, outcome, original, journal, with_userdb, shown)
        return verdict if attempt is None else await self._judged(attempt, verdict, outcome.result)

    async def _judged(self, attempt: Attempt, verdict: Verdict, result: Result = Result.OK) -> Verdict:
        """The policy server has the last word."""
        fail_type = ""
        if not verdict.ok:
            fail_type = "internal" if verdict.internal else FAIL_TYPES.get(result, "credentials")
        if await attempt.after(ok=verdict.ok, fail_type=fail_type) or not verdict.ok:
            return verdict
        return Verdict(False, verdict.user)

    async def candidate(self, lookup: Lookup, mechanism: str, parameters: wire.Parameters, *, key: str) -> Candidate:
        """Whom the databases know by this name, for a mechanism that sees no password. Who must not get in (no such
        user, a broken name, no usable password, wrong network) becomes a candidate like any other, until ``admit``."""
        original = lookup.authcid.decode("utf-8", "replace")
        journal = self.journal(original, mechanism, parameters)
        refused = ""
        chain = self._passdbs(parameters.service)
        login_user = ""
        try:
            name, login_user = self._names.who(lookup.authcid, lookup.authzid)
        except BadName as error:
            name, refused = original, error.detail
        if login_user and not chain.masters:
            refused = _no_masters(login_user)
        journal.user = name
        query = Query(name, parameters, mechanism, original, False, parameters.service, "", login_user)
        attempt = None
        if self.policy is not None and not refused:
            attempt = Attempt(self.policy, query, None, journal)
            if not await attempt.before():
                refused = REFUSED
        wanted = chain.wanted(lookup.scheme, name, lookup.hashed_as)
        if refused:
            if refused is not REFUSED:
                journal.failed("", refused)
            outcome = await chain.pretend(query, wanted, key)
        else:
            outcome = await chain.ask(query, wanted, key, journal)
        if journal.stepping:
            journal.step("", "passdb lookup finished: " + outcome.result.value)
        return Candidate(query, name, original, outcome, wanted.data, journal, attempt)

    async def concluded(self, candidate: Candidate, verdict: Verdict) -> Verdict:
        """What ``admit`` or ``refuted`` said, unless the policy server says else."""
        if candidate.attempt is None:
            return verdict
        return await self._judged(candidate.attempt, verdict, candidate.outcome.result)

    async def admit(self, candidate: Candidate, *, with_userdb: bool, login: bool = False) -> Verdict:
        """The proof is right; but was the candidate real, and is there whom a master user wants to be?"""
        query, outcome, journal = candidate.query, candidate.outcome, candidate.journal
        if outcome.result is not Result.OK:
            return self.refuted(candidate)
        if query.login_user:
            become = await self._passdbs(query.service).become(query, outcome, journal)
            if become is not Result.OK:
                return _refusal(outcome)
        return await self._welcome(
            query, outcome, candidate.original, journal, with_userdb, Secret(b"") if login else None
        )

    def refuted(self, candidate: Candidate) -> Verdict:
        """The proof is wrong, or counts for nothing."""
        outcome = candidate.outcome
        for recall in outcome.recalls:
            recall.doubt()
        if outcome.result is Result.OK:
            candidate.journal.failed("", "Password mismatch")
        return Verdict(False, candidate.name, nodelay=outcome.nodelay)

    async def anonymous(
        self, anonymous: Anonymous, mechanism: str, parameters: wire.Parameters, *, with_userdb: bool
    ) -> Verdict:
        """Somebody who does not say who: ``auth_anonymous_username``, without a question to the passdbs."""
        user = self.settings.auth_anonymous_username
        journal = self.journal(user, mechanism, parameters)
        if journal.stepping:
            journal.step("", f"anonymous login (trace: {anonymous.trace!r})")
        query = Query(user, parameters, mechanism, user, False, parameters.service)
        verdict = await self._welcome(query, PassdbOutcome(Result.OK, user), user, journal, with_userdb, None)
        if verdict.ok:
            verdict.fields = {**verdict.fields, "anonymous": None}
        return verdict

    async def _welcome(
        self,
        query: Query,
        outcome: PassdbOutcome,
        original: str,
        journal: Journal,
        with_userdb: bool,
        password: Secret | None,
    ) -> Verdict:
        """A passdb has proved the user: what OK says, with the userdbs' answer if it is wanted.

        ``password``: None unless the asker is a login room; empty when the client has not shown it.
        """
        said = outcome.fields
        fields: dict[str, str | None] = {}
        if said:
            settle_proxy(said, outcome.user, query.parameters.get("lip", ""), query.parameters.get("lport", ""))
            fields.update(visible(said, login=password is not None))
        if outcome.user != original:
            fields["original_user"] = original
        if outcome.master_user:
            fields["auth_user"] = outcome.master_user
        if password is not None and PROXY in said:
            _tell_proxy(fields, outcome, password)
        verdict = Verdict(True, outcome.user, fields, delay_until=outcome.delay_until, master_user=outcome.master_user)
        if outcome.userdb_fields or said:
            verdict.passdb_fields = _all_fields(outcome)
        if with_userdb and "nologin" not in fields:
            query.user, query.authenticated = outcome.user, outcome.proved
            query.passdb_fields = verdict.passdb_fields
            found = await self._userdbs(query.service).ask(query, journal)
            if journal.stepping:
                journal.step("", "userdb lookup finished: " + found.result.value)
            if found.result is not Found.OK:
                if found.result is Found.UNKNOWN:
                    if outcome.master_user:
                        journal.failed("", "user not found from any userdbs")
                        return Verdict(False, outcome.user, code=wire.AUTHZ_FAIL)
                    journal.error("", "user not found from any userdbs")
                return Verdict(False, outcome.user, code=wire.TEMP_FAIL, internal=True)
            verdict.userdb = found.fields
            if found.user != outcome.user:
                verdict.userdb = {**found.fields, "user": found.user}
            if outcome.master_user:
                verdict.userdb = {**verdict.userdb, "master_user": outcome.master_user}
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
        self,
        name: str,
        parameters: wire.Parameters,
        *,
        authenticated: bool = False,
        passdb_fields: Mapping[str, str] = NO_FIELDS,
        master_user: str = "",
    ) -> UserdbOutcome:
        """What the userdbs say about a user. ``authenticated``: a passdb has proved this very user, and said
        ``passdb_fields``; or a ``master_user`` has proved himself."""
        journal = self.journal(name, "", parameters)
        try:
            user = name if authenticated else self._names.name_of(to_octets(name))
        except RoostError as error:
            journal.failed("", error.detail)
            return UserdbOutcome(Found.UNKNOWN, name)
        journal.user = user
        query = Query(user, parameters, "", name, authenticated and not master_user, parameters.service, master_user)
        query.passdb_fields = passdb_fields
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


def _no_masters(wanted: str) -> str:
    return f"Attempted master login with no master passdbs (trying to log in as user: {wanted[:64]})"


def _all_fields(outcome: PassdbOutcome) -> Mapping[str, str]:
    """What the passdbs said, in one mapping, as later databases see it."""
    if not outcome.userdb_fields:
        return outcome.fields
    return {**outcome.fields, **{USERDB_PREFIX + name: value for name, value in outcome.userdb_fields.items()}}


def _tell_proxy(fields: dict[str, str | None], outcome: PassdbOutcome, password: Secret) -> None:
    """How a proxy proves the user at the next server: by the password the client sent, unless a field says else."""
    if "pass" not in fields and password.reveal():
        fields["pass"] = password.reveal().decode("utf-8", "surrogateescape")
    if outcome.master_user and "master" not in fields:
        fields["master"] = outcome.master_user


FAIL_TYPES: Mapping[Result, str] = {
    Result.INTERNAL: "internal",
    Result.UNKNOWN: "account",
    Result.DISABLED: "disabled",
    Result.EXPIRED: "expired",
}
"""What the policy server is told of a failure; all others are the credentials'."""

CODES: Mapping[Result, str] = {
    Result.INTERNAL: wire.TEMP_FAIL,
    Result.DISABLED: wire.USER_DISABLED,
    Result.EXPIRED: wire.PASS_EXPIRED,
}


def _refusal(outcome: PassdbOutcome) -> Verdict:
    """What FAIL says. Who proved himself a master is told that the other user is not his to be."""
    internal = outcome.result is Result.INTERNAL
    code = wire.AUTHZ_FAIL if outcome.master_user and not internal else CODES.get(outcome.result, "")
    return Verdict(
        False,
        outcome.user,
        code=code,
        reason="" if internal else outcome.reason,
        internal=internal,
        nodelay=outcome.nodelay,
        delay_until=outcome.delay_until,
        token_failure=outcome.token_failure,
    )
