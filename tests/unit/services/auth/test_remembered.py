"""Chains with a cache: nobody is told another one's answer, new passwords work, and what must not be kept is not."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.auth.api import Entry, Outcome, Query
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.cache import AuthCache, Proofs
from services.auth.credentials import Fakes
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.passdbs import PassdbChain, PassdbOutcome, PassdbRow, Result
from services.auth.remembered import FALLBACK, Caching, Memory, UserdbMemory
from services.auth.rows import Judge
from services.auth.schemes import SCHEMES
from services.auth.templates import FieldTemplates
from services.auth.userdbs import Found, UserdbChain, UserdbRow

TTL, NEGATIVE = 100.0, 10.0


class Clock:
    now = 1000.0


class Db:
    """A passdb that stores passwords; ``depends`` names what its answers depend on, and they do."""

    def __init__(self, depends: frozenset[str] | None = frozenset({"user"})) -> None:
        self.variables = depends
        self.entries: dict[str, Entry] = {"u": Entry("{PLAIN}pw", {"a": "1"}), "v": Entry("{PLAIN}other")}
        self.down = False
        self.asked = 0

    def look(self, query: Query) -> Entry | None:
        self.asked += 1
        if self.down:
            raise Unavailable("Down.", detail="server is down")
        entry = self.entries.get(query.user)
        if entry is None or not self.variables:
            return entry
        told = {f"is_{name}": value for name, value in query.variables(self.variables).items()}
        return replace(entry, fields={**entry.fields, **told})

    async def find(self, query: Query) -> Entry | None:
        return self.look(query)

    def decoy(self) -> str:
        return ""


class Verifying(Db):
    """A passdb that verifies by itself and never tells what is stored."""

    verifies = True

    async def find(self, query: Query) -> Entry | None:
        entry = self.look(query)
        return entry and replace(entry, password=None, outcome=Outcome.SCHEME_NOT_AVAILABLE)

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        entry = self.look(query)
        if entry is None:
            return None
        right = entry.password == "{PLAIN}" + password.reveal().decode()
        outcome = entry.outcome if right else Outcome.MISMATCH
        return Entry(None, entry.fields if right else {}, outcome)


class Chain:
    """One passdb, with a cache or without."""

    def __init__(self, driver: Db, *, cached: bool = True, size: int = 1 << 20, **options: Any) -> None:
        self.clock = Clock()
        self.caching = Caching(AuthCache(size, TTL, NEGATIVE), Proofs(b"key"), lambda: self.clock.now)
        self.said: list[str] = []
        made = PassdbSettings(name="db", driver="fake", **options)
        memory = Memory(self.caching, "P1", "db", driver) if cached else None
        self.row = PassdbRow("db", made, driver, FieldTemplates(made.fields), "PLAIN", None, None, memory)

    def ask(self, user: str = "u", password: str | None = "pw", **parameters: str) -> PassdbOutcome:
        async def run() -> PassdbOutcome:
            hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
            chain = PassdbChain([self.row], SCHEMES, hasher, Fakes(b"key"))
            told = {"service": "imap", "rip": "192.0.2.1", **parameters}
            query = Query(user, told, "plain" if password is not None else "", user)
            read, write = os.pipe()
            journal = Journal(Log("", Sink(write)), user, query.mechanism, told, verbose=True, debug=False)
            outcome = await chain.ask(query, None if password is None else Secret(password.encode()), "k", journal)
            os.close(write)
            with open(read) as stream:
                self.said = stream.read().splitlines()
            hasher.close()
            return outcome

        return asyncio.run(run())


@pytest.mark.parametrize("kind", [Db, Verifying])
def test_the_database_is_asked_once(kind: type[Db]) -> None:
    driver = kind()
    chain = Chain(driver)
    first = chain.ask()
    again = chain.ask()
    assert first.result is again.result is Result.OK
    assert first.fields == again.fields == {"a": "1", "is_user": "u"}
    assert driver.asked == 1
    chain.clock.now += TTL
    assert chain.ask().result is Result.OK
    assert driver.asked == 2


@pytest.mark.parametrize("kind", [Db, Verifying])
def test_a_new_password_works_at_once_and_the_old_one_no_more(kind: type[Db]) -> None:
    driver = kind()
    chain = Chain(driver)
    chain.ask()
    driver.entries["u"] = Entry("{PLAIN}new")
    assert chain.ask(password="new").result is Result.OK
    assert not any("mismatch" in line for line in chain.said), "the first judgement was not the last"
    assert chain.ask(password="pw").result is Result.MISMATCH
    assert driver.asked == 3


@pytest.mark.parametrize("kind", [Db, Verifying])
def test_wrong_passwords_are_believed_while_the_entry_is_young(kind: type[Db]) -> None:
    driver = kind()
    chain = Chain(driver)
    chain.ask()
    for number in range(5):
        assert chain.ask(password=f"no{number}").result is Result.MISMATCH
        assert any("Password mismatch" in line for line in chain.said)
    assert driver.asked == 2, "once more after the success, then no more"
    chain.clock.now += NEGATIVE
    assert chain.ask(password="no").result is Result.MISMATCH
    assert driver.asked == 3
    assert chain.ask().result is Result.OK


def test_unknown_users_are_remembered() -> None:
    driver = Db()
    chain = Chain(driver)
    assert chain.ask("x").result is chain.ask("x").result is Result.UNKNOWN
    assert driver.asked == 1
    driver.entries["x"] = Entry("{PLAIN}pw")
    chain.clock.now += NEGATIVE
    assert chain.ask("x").result is Result.OK


def test_a_remembered_unknown_user_costs_what_a_wrong_password_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a driver in a worker that leaves the comparison to the room."""

    class Elsewhere(Verifying):
        async def verify(self, query: Query, password: Secret) -> Entry | None:
            entry = self.look(query)
            return replace(entry, unverified=True) if entry else Entry(outcome=Outcome.UNKNOWN, unverified=True)

    wasted: list[str] = []

    async def waste(self: Judge, row: PassdbRow, query: Query, password: object, key: str) -> None:
        wasted.append(query.user)

    monkeypatch.setattr(Judge, "waste", waste)
    driver = Elsewhere()
    chain = Chain(driver)
    assert chain.ask().result is chain.ask().result is Result.OK
    assert chain.ask(password="no").result is Result.MISMATCH
    assert chain.ask("x").result is chain.ask("x").result is Result.UNKNOWN
    assert wasted == ["x", "x"] and driver.asked == 3


@pytest.mark.parametrize("kind", [Db, Verifying])
def test_an_expired_entry_serves_when_the_database_cannot_say(kind: type[Db]) -> None:
    driver = kind()
    chain = Chain(driver)
    chain.ask()
    chain.clock.now += TTL
    driver.down = True
    assert chain.ask().result is Result.OK
    assert any(FALLBACK in line for line in chain.said)
    assert any("server is down" in line for line in chain.said)
    assert chain.ask(password="new").result is Result.INTERNAL, "perhaps it is the new password"
    assert chain.ask("v").result is Result.INTERNAL, "never asked before"


@pytest.mark.parametrize(
    "entry",
    [
        Entry("{PLAIN}pw", outcome=Outcome.NEXT),
        Entry("{PLAIN}pw", outcome=Outcome.DISABLED),
        Entry("{PLAIN}pw", outcome=Outcome.EXPIRED),
        Entry("{PLAIN}pw", {"noauthenticate": "yes"}),
    ],
)
@pytest.mark.parametrize("kind", [Db, Verifying])
def test_what_is_never_kept(kind: type[Db], entry: Entry) -> None:
    driver = kind()
    driver.entries["u"] = entry
    chain = Chain(driver)
    first = chain.ask().result
    assert chain.ask().result is first is not Result.OK
    assert driver.asked == 2
    assert chain.caching.cache.status().used_size == 0


def test_a_driver_that_does_not_say_what_it_depends_on_is_not_kept() -> None:
    driver = Db(None)
    chain = Chain(driver)
    assert chain.ask().result is chain.ask().result is Result.OK
    assert driver.asked == 2
    driver.variables = frozenset({"user", "something unheard of"})
    assert chain.ask().result is chain.ask().result is Result.OK
    assert driver.asked == 4
    driver.variables = frozenset({"user"})  # as of a driver in a worker, which is known when it has answered
    assert chain.ask().result is chain.ask().result is Result.OK
    assert driver.asked == 5


def test_nopassword_is_kept_as_such() -> None:
    driver = Db()
    driver.entries["u"] = Entry(None, {"nopassword": "yes"})
    chain = Chain(driver)
    assert chain.ask(password="a").result is chain.ask(password="b").result is Result.OK
    assert driver.asked == 1


def test_networks_and_fields_of_the_block_are_looked_at_afresh() -> None:
    driver = Db()
    driver.entries["u"] = Entry("{PLAIN}pw", {"allow_nets": "192.0.2.0/24"})
    chain = Chain(driver, fields={"from": "%{remote_ip}"})
    assert chain.ask().fields["from"] == "192.0.2.1"
    assert chain.ask(rip="192.0.2.7").fields["from"] == "192.0.2.7"
    assert driver.asked == 1
    assert chain.ask(rip="198.51.100.1").result is Result.MISMATCH


def test_everything_a_driver_says_is_kept() -> None:
    """A new field of Entry must be kept too, or be part of what is never kept: decide, then add it here."""
    assert {field.name for field in dataclasses.fields(Entry)} == {
        *("password", "fields", "variables"),  # kept
        *("outcome", "reason", "unverified"),  # of an answer that is kept they are known
    }
    driver = Db()
    driver.entries["u"] = Entry("{PLAIN}pw", {"a": "1"}, variables={"ldap:mail": "m"})
    chain = Chain(driver, fields={"mail": "%{ldap:mail}"})
    for _ in range(2):
        assert chain.ask().fields["mail"] == "m"
    assert driver.asked == 1


def test_the_password_is_nowhere_in_what_is_kept_of_a_verifier() -> None:
    driver = Verifying()
    driver.entries["u"] = Entry("{PLAIN}hunter2hunter2")
    chain = Chain(driver)
    assert chain.ask(password="hunter2hunter2").result is Result.OK
    nodes = list(chain.caching.cache._nodes.items())
    assert len(nodes) == 1
    key, node = nodes[0]
    assert "hunter2" not in key and node.password is None and b"hunter2" not in node.proof
    assert node.fields is not None and "hunter2" not in repr(dict(node.fields))


def test_a_verifier_may_tell_what_is_to_be_compared() -> None:
    class Telling(Verifying):
        async def verify(self, query: Query, password: Secret) -> Entry | None:
            entry = await super().verify(query, password)
            return entry and replace(entry, password="{PLAIN}" + password.reveal().decode())

    driver = Telling()
    chain = Chain(driver)
    assert chain.ask().result is chain.ask().result is Result.OK
    assert driver.asked == 1
    assert chain.ask(password="no").result is Result.MISMATCH


# Users, services, addresses: names chosen so that badly joined keys would be equal.
NAMES = st.sampled_from(["u", "v", "x", "a\tb", "a", "b", "a\x01tb", ""])
QUESTIONS = st.lists(
    st.tuples(
        NAMES, st.sampled_from(["pw", "other", "no", None]), NAMES, st.sampled_from(["192.0.2.1", "2001:db8::1"]), NAMES
    ),
    max_size=12,
)
DEPENDS = st.frozensets(st.sampled_from(["user", "service", "remote_ip", "local_name", "original_user"]))


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, DEPENDS, st.booleans(), st.sampled_from([1500, 1 << 20]))
def test_nobody_is_told_what_was_meant_for_another(
    questions: list[tuple[str, str | None, str, str, str]], depends: frozenset[str], verifying: bool, size: int
) -> None:
    kind = Verifying if verifying else Db
    users: Mapping[str, Entry] = {name: Entry("{PLAIN}pw", {"me": name}) for name in ("a", "b", "a\tb", "a\x01tb")}
    cached, plain = kind(depends | {"user"}), kind(depends | {"user"})
    for driver in (cached, plain):
        driver.entries.update(users)
    one, other = Chain(cached, size=size), Chain(plain, cached=False)
    for user, password, service, address, name in questions:
        given_parameters = {"service": service or "imap", "rip": address, "local_name": name}
        mine, theirs = (chain.ask(user, password, **given_parameters) for chain in (one, other))
        assert (mine.result, mine.user, mine.fields) == (theirs.result, theirs.user, theirs.fields)


class Homes:
    variables: frozenset[str] | None = frozenset({"user", "service"})

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    async def find(self, query: Query) -> Mapping[str, str] | None:
        self.asked += 1
        if self.down:
            raise Unavailable("Down.", detail="server is down")
        return {"home": f"/{query.service}/{query.user}"} if query.user != "x" else None

    def iterate(self) -> None:
        return None


def test_userdbs() -> None:
    driver, clock = Homes(), Clock()
    caching = Caching(AuthCache(1 << 20, TTL, NEGATIVE), Proofs(b"key"), lambda: clock.now)
    row = UserdbRow(
        "db", UserdbSettings(name="db"), driver, FieldTemplates({}), UserdbMemory(caching, "U1", "db", driver)
    )
    chain = UserdbChain([row])

    def ask(user: str, service: str) -> tuple[Found, Mapping[str, str]]:
        journal = Journal(Log("", Sink(os.open(os.devnull, os.O_WRONLY))), user, "", {}, verbose=True, debug=True)
        found = asyncio.run(chain.ask(Query(user, {"service": service}), journal))
        return found.result, found.fields

    for _ in range(2):
        assert ask("u", "imap") == (Found.OK, {"home": "/imap/u"})
        assert ask("u", "lmtp") == (Found.OK, {"home": "/lmtp/u"})
        assert ask("x", "imap") == (Found.UNKNOWN, {})
    assert driver.asked == 3
    clock.now += TTL
    driver.down = True
    assert ask("u", "imap") == (Found.OK, {"home": "/imap/u"})
    assert ask("x", "imap")[0] is Found.INTERNAL
