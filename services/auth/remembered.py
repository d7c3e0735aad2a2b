"""The cache as the chains see it: a memory for each database whose answers may be kept.

What is kept is what the *driver* said. The ``fields { }`` of the block, networks, certificates and the password itself
are looked at afresh for every login, so nothing that depends on them is ever another client's. The key holds the values
of all ``variables`` of the driver, who is master of whom, and what other databases have said before.

A wrong password is believed from the cache only when the entry's last one was wrong too and the entry is young: any
other may have been changed meanwhile, and the database is asked again. When it cannot say, an expired entry serves.
Every user has entries of his own, also where a driver's answer does not depend on him.

Never kept: answers of databases that do not say what they depend on, tokens (they expire), and every outcome but
"found" and "no such user".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roost.auth.api import NO_FIELDS, VARIABLES, Entry, Outcome, Passdb, Query, Userdb, Verifier, variables_of
from roost.errors import RoostError
from roost.util.secret import Secret
from services.auth.cache import AuthCache, Node, Proofs, key_of
from services.auth.journal import Journal
from services.auth.results import Result
from services.auth.tasks import in_task

FALLBACK = "Falling back to expired data from cache"
KEPT = frozenset({Result.OK, Result.MISMATCH, Result.UNKNOWN, Result.SCHEME})
UNVERIFIED = b"-"  # in place of a proof
FIND, VERIFY = "", "v"
"""Kinds of questions: what ``find`` says and what ``verify`` says are not the same."""


@dataclass(frozen=True)
class Caching:
    """What all memories of a process share. ``now``: seconds that never go back."""

    cache: AuthCache
    proofs: Proofs
    now: Callable[[], float]


class Memory:
    """The keys of one database."""

    def __init__(
        self, caching: Caching, database: str, name: str, driver: Passdb | Userdb, more: frozenset[str] = frozenset()
    ) -> None:
        """``database``: what no other one is called. ``more``: variables of templates that the driver expands."""
        self.caching = caching
        self._more = more
        self.name = name
        self._database = database
        self._driver = driver
        self._variables: frozenset[str] | None = None
        self._names: list[str] = []

    def key(self, query: Query, kind: str = FIND) -> str:
        """ "" when the answer may not be kept."""
        variables = variables_of(self._driver)
        if variables is None:
            return ""
        if variables is not self._variables:
            self._variables, self._names = variables, sorted(variables | self._more)
        state = f"{query.authenticated:d}{query.seen_unknown:d}{query.seen_internal:d}"
        values = [state, query.user, query.master_user, query.login_user]
        for name in self._names:
            of = VARIABLES.get(name)
            if of is not None:
                values.append(of(query))
            elif (source := _said_before(query, name)) is not None:
                field = source.get(name.partition(":")[2])
                values += ("", "") if field is None else ("=", field)
            else:
                return ""
        return key_of(self._database + kind, self._names, values)

    def look(self, key: str, journal: Journal) -> tuple[Node | None, bool]:
        """As ``AuthCache.look``."""
        found = self.caching.cache.look(key, self.caching.now())
        if journal.stepping:
            journal.step(self.name, "cache hit" if found[1] else "cache miss")
        return found


def _said_before(query: Query, name: str) -> Mapping[str, str] | None:
    """The fields a variable with a colon is taken from."""
    if name.startswith("passdb:"):
        return query.passdb_fields
    return getattr(query, "userdb_fields", None) if name.startswith("userdb:") else None


class UserdbMemory(Memory):
    """Of one userdb."""

    async def find(self, driver: Userdb, query: Query, journal: Journal) -> Mapping[str, str] | None:
        """As ``driver.find``. Raises Unavailable."""
        key, user = self.key(query), query.user
        node, holds = self.look(key, journal) if key else (None, False)
        if node is not None and holds:
            return node.fields
        try:
            await in_task(driver)
            fields = await driver.find(query)
        except RoostError as error:
            if node is None or node.fields is None:
                raise
            journal.error(self.name, error.detail or error.client_text)
            journal.error(self.name, FALLBACK)
            return node.fields
        key = key or self.key(query)
        if key:
            kept = None if fields is None else dict(fields)
            self.caching.cache.keep(key, Node(user, kept), self.caching.now())
        return fields


class Recall:
    """One question to one passdb, and what the cache has to say to it. ``look``: take the cache's answer if it has one.

    ``find`` or ``verify``, then ``settle``.
    """

    __slots__ = (
        "_entry",
        "_fell_back",
        "_journal",
        "_key",
        "_kind",
        "_memory",
        "_node",
        "_query",
        "_said",
        "_stale",
        "_user",
    )

    def __init__(self, memory: Memory, query: Query, kind: str, journal: Journal, *, look: bool = True) -> None:
        self._memory = memory
        self._query = query
        self._user = query.user
        self._kind = kind
        self._journal = journal
        self._key = memory.key(query, kind)
        self._node: Node | None = None  # the answer that is used, out of the cache
        self._stale: Node | None = None
        self._fell_back = False
        self._said = False  # by the database: ``_entry``
        self._entry: Entry | None = None
        if self._key and look:
            node, holds = memory.look(self._key, journal)
            if holds:
                self._node = node
            elif node is not None and node.fields is not None:
                self._stale = node

    @property
    def doubtful(self) -> bool:
        """A wrong password will be asked about again, so it is nothing for the log yet."""
        return self._node is not None and self._is_doubtful(self._node)

    async def find(self, driver: Passdb) -> Entry | None:
        """As ``driver.find``. Raises Unavailable."""
        node = self._node
        if node is None:
            try:
                await in_task(driver)
                return self._heard(await driver.find(self._query))
            except RoostError as error:
                node = self._fall_back(error)
        return None if node.fields is None else Entry(node.password, node.fields, variables=node.variables)

    async def verify(self, driver: Verifier, password: Secret) -> Entry | None:
        """As ``driver.verify``. Raises Unavailable."""
        node = self._node
        if node is None:
            try:
                await in_task(driver)
                return self._heard(await driver.verify(self._query, password))
            except RoostError as error:
                node = self._fall_back(error)
        if node.fields is None:
            return Entry(outcome=Outcome.UNKNOWN, unverified=True) if node.proof else None
        if not node.proof:
            return Entry(node.password, node.fields, unverified=True, variables=node.variables)
        if self._memory.caching.proofs.fits(node.proof, self._key, password.reveal()):
            return Entry(None, node.fields, variables=node.variables)
        return Entry(outcome=Outcome.MISMATCH)

    def settle(self, result: Result, password: Secret | None) -> Result | None:
        """What came of the answer: keep it, and give the result that counts; None: ask the database itself.

        ``password``: None when no mechanism showed one, or it did not matter.
        """
        node = self._node
        if node is not None:
            if result is Result.MISMATCH and password is not None and self._is_doubtful(node):
                if self._fell_back:
                    return Result.INTERNAL
                node.was_right = False
                return None
            if result is Result.OK and password is not None:
                node.was_right = True
        elif self._said and self._key:
            self._keep(result, password)
        return result

    def doubt(self) -> None:
        """What was stored did not fit a proof; the next one asks the database."""
        if self._key:
            self._memory.caching.cache.drop(self._key)

    def _is_doubtful(self, node: Node) -> bool:
        caching = self._memory.caching
        return node.fields is not None and caching.cache.doubtful(node, caching.now())

    def _heard(self, entry: Entry | None) -> Entry | None:
        self._said, self._entry = True, entry
        self._key = self._key or self._memory.key(self._query, self._kind)
        return entry

    def _fall_back(self, error: RoostError) -> Node:
        """The expired entry; raises the error when there is none."""
        if self._stale is None:
            raise error
        self._journal.error(self._memory.name, error.detail or error.client_text)
        self._journal.error(self._memory.name, FALLBACK)
        self._node, self._fell_back = self._stale, True
        return self._stale

    def _keep(self, result: Result, password: Secret | None) -> None:
        caching, entry = self._memory.caching, self._entry
        if result not in KEPT:
            caching.cache.drop(self._key)
            return
        if entry is None or entry.outcome is Outcome.UNKNOWN:
            unverified = entry is not None and entry.unverified  # then the room spends the time of a comparison
            node = Node(self._user, None, proof=UNVERIFIED if unverified else b"")
        elif entry.outcome is not Outcome.OK:
            return  # a wrong password says nothing of the right one
        else:
            proof = b""
            if self._kind == VERIFY and not entry.unverified and not entry.password:
                assert password is not None
                proof = caching.proofs.of(self._key, password.reveal())
            was_right = result is Result.OK and password is not None
            node = Node(self._user, dict(entry.fields) or NO_FIELDS, entry.password, proof, was_right=was_right)
            node.variables = dict(entry.variables) or NO_FIELDS
        caching.cache.keep(self._key, node, caching.now())
