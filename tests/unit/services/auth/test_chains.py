"""The lookup algorithms: rules for each outcome, skipping, fields kept and dropped, decoys, several userdbs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from roost.auth.api import Entry, Query
from roost.errors import ConfigError, Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.credentials import Fakes
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.passdbs import PassdbChain, PassdbOutcome, PassdbRow, Result
from services.auth.schemes import SCHEMES, Scheme
from services.auth.templates import FieldTemplates
from services.auth.userdbs import Found, UserdbChain, UserdbOutcome, UserdbRow


class FakePassdb:
    """Knows the users it is given; a user called ``broken`` makes it fail."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, users: Mapping[str, Entry], decoy: str = "") -> None:
        self.users = users
        self.asked: list[str] = []
        self._decoy = decoy

    async def find(self, query: Query) -> Entry | None:
        self.asked.append(query.user)
        if query.user == "broken":
            raise Unavailable("Down.", detail="server is down")
        return self.users.get(query.user)

    def decoy(self) -> str:
        return self._decoy


class FakeUserdb:
    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, users: Mapping[str, Mapping[str, str]] | None) -> None:
        self.users = users

    async def find(self, query: Query) -> Mapping[str, str] | None:
        if self.users is None:
            raise Unavailable("Down.", detail="server is down")
        return self.users.get(query.user)

    def iterate(self) -> AsyncIterator[str] | None:
        return self._names() if self.users else None

    async def _names(self) -> AsyncIterator[str]:
        for name in self.users or ():
            yield name


USER = {"u": Entry("{PLAIN}pw", {"a": "1"}), "v": Entry("{PLAIN}other")}


def row(driver: FakePassdb, name: str = "db", **settings: Any) -> PassdbRow:
    made = PassdbSettings(name=name, driver="fake", **settings)
    return PassdbRow(name, made, driver, FieldTemplates(made.fields), "PLAIN", None)


def ask(
    rows: list[PassdbRow],
    user: str = "u",
    password: str | None = "pw",
    *,
    mechanism: str = "plain",
    log: Log | None = None,
    schemes: Mapping[str, Scheme] = SCHEMES,
    **parameters: str,
) -> PassdbOutcome:
    async def run() -> PassdbOutcome:
        hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
        chain = PassdbChain(rows, schemes, hasher, Fakes(b"key"))
        given = {"service": "imap", "rip": "192.0.2.1", **parameters}
        query = Query(user, given, mechanism if password is not None else "", user)
        out = log or Log("", Sink(os.open(os.devnull, os.O_WRONLY)))
        journal = Journal(out, user, query.mechanism, given, verbose=True, debug=True)
        outcome = await chain.ask(query, None if password is None else Secret(password.encode()), "k", journal)
        hasher.close()
        return outcome

    return asyncio.run(run())


def test_one_database() -> None:
    driver = FakePassdb(USER)
    assert ask([row(driver)]).result is Result.OK
    assert ask([row(driver)]).fields == {"a": "1"}
    assert ask([row(driver)], password="no").result is Result.MISMATCH
    assert ask([row(driver)], "x").result is Result.UNKNOWN
    assert ask([row(driver)], "broken").result is Result.INTERNAL
    assert ask([row(driver)], password=None).result is Result.OK
    assert ask([row(driver)], "x", None).result is Result.UNKNOWN


# The state begins as failure; what the first database does, by its rule, and what the second one says then.
RULES = [
    # rule of the first on success, second knows the user with the same password, result, second asked
    ("return-ok", True, Result.OK, False),
    ("return", True, Result.MISMATCH, False),
    ("return-fail", True, Result.MISMATCH, False),
    ("continue", True, Result.OK, True),
    ("continue", False, Result.UNKNOWN, True),
    ("continue-ok", True, Result.OK, True),
    ("continue-ok", False, Result.OK, True),
    ("continue-fail", True, Result.OK, True),
    ("continue-fail", False, Result.UNKNOWN, True),
]


@pytest.mark.parametrize(("rule", "second_knows", "result", "asked"), RULES)
def test_rules_after_success(rule: str, second_knows: bool, result: Result, asked: bool) -> None:
    second = FakePassdb(USER if second_knows else {})
    assert ask([row(FakePassdb(USER), result_success=rule), row(second)]).result is result
    assert bool(second.asked) == asked


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ("continue", Result.OK),
        ("return", Result.MISMATCH),
        ("return-fail", Result.MISMATCH),
        ("return-ok", Result.OK),
        ("continue-ok", Result.OK),
    ],
)
def test_rules_after_a_wrong_password(rule: str, result: Result) -> None:
    wrong = FakePassdb({"u": Entry("{PLAIN}wrong", {"leaked": "yes"})})
    outcome = ask([row(wrong, result_failure=rule), row(FakePassdb(USER))])
    assert outcome.result is result
    assert "leaked" not in outcome.fields


@pytest.mark.parametrize(
    ("rule", "result"),
    [("continue", Result.OK), ("return", Result.INTERNAL), ("return-fail", Result.INTERNAL), ("return-ok", Result.OK)],
)
def test_rules_after_an_internal_failure(rule: str, result: Result) -> None:
    second = FakePassdb({"broken": Entry("{PLAIN}pw")})
    second.find = lambda query: FakePassdb.find(FakePassdb({"x": Entry("{PLAIN}pw")}), Query("x"))  # type: ignore[method-assign]
    assert ask([row(FakePassdb({}), result_internalfail=rule), row(second)], "broken").result is result


def test_an_internal_failure_outweighs_a_later_mismatch() -> None:
    second = FakePassdb({})
    second.find = lambda query: FakePassdb.find(FakePassdb(USER), Query("v"))  # type: ignore[method-assign]
    assert ask([row(FakePassdb({})), row(second)], "broken").result is Result.INTERNAL


def test_a_verified_password_is_not_checked_again_and_fields_add_up() -> None:
    first = FakePassdb({"u": Entry("{PLAIN}pw", {"a": "1", "b": "1"})})
    second = FakePassdb({"u": Entry("{PLAIN}something else", {"b": "2", "c:default": "3"})})
    outcome = ask([row(first, result_success="continue"), row(second)])
    assert outcome.result is Result.OK and outcome.fields == {"a": "1", "b": "2", "c": "3"}


def test_noauthenticate_gives_fields_only() -> None:
    first = FakePassdb({"u": Entry(None, {"noauthenticate": "yes", "a": "0", "x": "1"})})
    outcome = ask([row(first), row(FakePassdb(USER))])
    assert outcome.result is Result.OK and outcome.fields == {"a": "1", "x": "1"}
    assert ask([row(first)]).result is Result.INTERNAL


def test_nopassword_is_of_one_database_only() -> None:
    first = FakePassdb({"u": Entry(None, {"nopassword": "yes"})})
    assert ask([row(first)], password="anything").result is Result.OK
    assert ask([row(first, result_success="continue-fail"), row(FakePassdb({}))], password="x").result is Result.UNKNOWN
    second = FakePassdb({"u": Entry(None, {})})
    lookup_then_check = [row(first, mechanisms_filter=("lookup",)), row(second)]
    assert ask(lookup_then_check, password="x").result is Result.MISMATCH


def test_no_stored_password_lets_nobody_in() -> None:
    for stored in (None, "", "{PLAIN}", "{CRYPT}"):
        driver = FakePassdb({"u": Entry(stored)})
        assert ask([row(driver)], password="").result is Result.MISMATCH
        assert ask([row(driver)], password="x").result is Result.MISMATCH


def test_deny_databases() -> None:
    deny = row(FakePassdb({"u": Entry(None)}), deny=True)
    assert ask([deny, row(FakePassdb(USER))]).result is Result.DENIED
    assert ask([deny, row(FakePassdb(USER))], "v", "other").result is Result.OK
    assert ask([deny, row(FakePassdb({"broken": Entry("{PLAIN}pw")}))], "broken").result is Result.INTERNAL


def test_skip() -> None:
    second = FakePassdb(USER)
    ask([row(FakePassdb(USER), result_success="continue-ok"), row(second, skip="authenticated")])
    assert not second.asked
    ask([row(FakePassdb({})), row(second, skip="unauthenticated")])
    assert not second.asked
    ask([row(FakePassdb({})), row(second, skip="authenticated")])
    assert second.asked


def test_filters_by_mechanism_and_user() -> None:
    driver = FakePassdb(USER)
    assert ask([row(driver, mechanisms_filter=("PLAIN",))]).result is Result.OK
    assert ask([row(driver, mechanisms_filter=("login",))]).result is Result.INTERNAL  # all were skipped
    assert ask([row(driver, mechanisms_filter=("lookup",))], password=None).result is Result.OK
    assert ask([row(driver, mechanisms_filter=("plain",))], password=None).result is Result.INTERNAL
    assert ask([row(driver, username_filter=("u*", "!u2"))]).result is Result.OK
    assert ask([row(driver, username_filter=("!u",)), row(FakePassdb({}))]).result is Result.UNKNOWN


def test_networks_are_checked_after_the_password() -> None:
    driver = FakePassdb({"u": Entry("{PLAIN}pw", {"allow_nets": "198.51.100.0/24"})})
    assert ask([row(driver)]).result is Result.MISMATCH
    assert ask([row(driver)], rip="198.51.100.7").result is Result.OK
    assert ask([row(driver)], password=None).result is Result.OK
    real = FakePassdb({"u": Entry("{PLAIN}pw", {"allow_real_nets": "198.51.100.0/24"})})
    assert ask([row(real)], real_rip="198.51.100.7").result is Result.OK
    assert ask([row(real)], rip="198.51.100.7").result is Result.OK
    assert ask([row(real)]).result is Result.MISMATCH


def test_a_user_is_renamed_and_the_next_database_is_asked_for_the_new_name() -> None:
    first = FakePassdb({"u": Entry("{PLAIN}pw", {"user": "v"})})
    second = FakePassdb({"v": Entry("{PLAIN}zzz", {"from": "second"})})
    outcome = ask([row(first, result_success="continue"), row(second)])
    assert outcome.result is Result.OK and outcome.user == "v" and outcome.fields == {"from": "second"}
    assert second.asked == ["v"]


def test_a_failed_database_does_not_rename() -> None:
    first = FakePassdb({"u": Entry("{PLAIN}wrong", {"user": "v"})})
    second = FakePassdb(USER)
    assert ask([row(first), row(second)]).user == "u"
    assert second.asked == ["u"]


def test_fields_of_the_block_override_and_see_the_database() -> None:
    driver = FakePassdb({"u": Entry("{PLAIN}pw", {"a": "1", "b": "2"})})
    fields = {"a": "x-%{passdb:b}-%{user}-%{passdb:none}", "userdb_home": "/home/%{user}"}
    outcome = ask([row(driver, fields=fields)])
    assert outcome.fields == {"a": "x-2-u-", "b": "2"} and outcome.userdb_fields == {"home": "/home/u"}
    assert ask([row(driver, fields={"c": "3"}, fields_import_all=False)]).fields == {"c": "3"}


def test_a_broken_hash_is_a_mismatch_and_an_error_without_the_hash() -> None:
    read, write = os.pipe()
    driver = FakePassdb({"u": Entry("{SHA512}c2VjcmV0LWhhc2g=")})
    assert ask([row(driver)], log=Log("", Sink(write))).result is Result.MISMATCH
    os.close(write)
    text = os.read(read, 4096).decode()
    os.close(read)
    assert "Error: db: SHA512" in text and "c2VjcmV0" not in text


class CountingScheme:
    """A scheme that counts what is verified with it."""

    def __init__(self) -> None:
        self.verified: list[bytes] = []

    def table(self) -> Mapping[str, Scheme]:
        def verify(password: bytes, data: bytes) -> bool:
            self.verified.append(data)
            return password == data

        return {**SCHEMES, "SLOW": replace(SCHEMES["BLF-CRYPT"], name="SLOW", verify=verify)}


def test_an_unknown_user_costs_what_a_wrong_password_costs() -> None:
    counting = CountingScheme()
    driver = FakePassdb({"u": Entry("{SLOW}pw"), "nohash": Entry(None), "broken2": Entry("{NOSUCH}x")}, "{SLOW}decoy")
    for user, password in (("u", "wrong"), ("x", "wrong"), ("x", "decoy"), ("nohash", "a"), ("broken2", "a")):
        counting.verified.clear()
        outcome = ask([row(driver)], user, password, schemes=counting.table())
        assert outcome.result in (Result.MISMATCH, Result.UNKNOWN), "the decoy's password lets nobody in"
        assert len(counting.verified) == 1, f"{user}: one verification"
    counting.verified.clear()
    ask([row(driver)], "x", None, schemes=counting.table())
    assert counting.verified == [], "a lookup without a password verifies nothing"


def test_several_databases_cost_the_same_for_known_and_unknown_users() -> None:
    counting = CountingScheme()
    rows = [row(FakePassdb({"u": Entry("{SLOW}pw")}, "{SLOW}d")), row(FakePassdb({"v": Entry("{SLOW}pw")}, "{SLOW}d"))]
    costs = set()
    for user in ("u", "v", "x"):
        counting.verified.clear()
        ask(rows, user, "wrong", schemes=counting.table())
        costs.add(len(counting.verified))
    assert costs == {2}


# --- userdbs


def userdb_row(users: Mapping[str, Mapping[str, str]] | None, name: str = "db", **settings: Any) -> UserdbRow:
    made = UserdbSettings(name=name, driver="fake", **settings)
    return UserdbRow(name, made, FakeUserdb(users), FieldTemplates(made.fields))


def find(rows: list[UserdbRow], user: str = "u") -> UserdbOutcome:
    async def run() -> UserdbOutcome:
        out = Log("", Sink(os.open(os.devnull, os.O_WRONLY)))
        journal = Journal(out, user, "", {}, verbose=True, debug=True)
        return await UserdbChain(rows).ask(Query(user, {"service": "lmtp"}, "", user), journal)

    return asyncio.run(run())


HOME = {"u": {"home": "/home/u", "uid": "1000"}}


def test_userdb_outcomes() -> None:
    assert find([]) == UserdbOutcome(Found.OK, "u", {})
    assert find([userdb_row(HOME)]) == UserdbOutcome(Found.OK, "u", {"home": "/home/u", "uid": "1000"})
    assert find([userdb_row(HOME)], "x").result is Found.UNKNOWN
    assert find([userdb_row(None)]).result is Found.INTERNAL
    assert find([userdb_row(None), userdb_row(HOME)]).result is Found.OK
    assert find([userdb_row(None), userdb_row(HOME)], "x").result is Found.INTERNAL
    assert find([userdb_row({"u": {"tempfail": "yes"}})]).result is Found.INTERNAL


def test_userdbs_compose() -> None:
    rows = [
        userdb_row({"u": {"home": "/a", "quota": "1"}}, result_success="continue-ok"),
        userdb_row({"u": {"quota:default": "2", "x": "y", "home:remove": ""}}),
    ]
    assert find(rows).fields == {"quota": "1", "x": "y"}
    assert find([userdb_row(HOME), userdb_row({}, skip="found")]).result is Found.OK
    assert find([userdb_row(HOME, result_success="return-fail")]).result is Found.UNKNOWN


def test_userdb_fields_are_expanded_and_paths_stay_inside() -> None:
    fields = {"home": "/mail/%{user}/%{userdb:home | default('x')}", "gecos": "%{user} in %{home}"}
    outcome = find([userdb_row({"../up": {"home": "/h"}}, fields=fields)], "../up")
    assert outcome.fields == {"home": "/mail/%2e%2e%2fup/%2fh", "gecos": "../up in /h"}


def test_a_userdb_renames() -> None:
    outcome = find([userdb_row({"u": {"user": "v", "home": "/h"}})])
    assert outcome.user == "v"


def test_broken_templates_are_configuration_errors() -> None:
    with pytest.raises(ConfigError):
        FieldTemplates({"home": "/x/%{user | nosuchfilter}"})


def test_iteration() -> None:
    async def names(rows: list[UserdbRow]) -> list[str]:
        return [name async for name in UserdbChain(rows).iterate()]

    assert asyncio.run(names([userdb_row(HOME), userdb_row({}), userdb_row({"v": {}})])) == ["u", "v"]
    with pytest.raises(Unavailable, match="don't support it"):
        asyncio.run(names([userdb_row({})]))
