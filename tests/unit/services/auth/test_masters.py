"""Master users, drivers that verify and judge by themselves, and what the end of the passdb list says to the client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import pytest

from roost.auth.api import Entry, Outcome, Query
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.ipc.auth import Parameters
from roost.sasl.base import Lookup, Refuted, Verify
from roost.settings.schema.auth import AuthSettings, PassdbSettings, UserdbSettings
from roost.util.secret import Secret
from services.auth.core import Authenticator, Verdict
from services.auth.credentials import Fakes
from services.auth.hashing import Hasher
from services.auth.passdbs import PassdbChain, PassdbRow
from services.auth.schemes import SCHEMES
from services.auth.templates import FieldTemplates
from services.auth.userdb.prefetch import Prefetch
from services.auth.userdb.static import Static
from services.auth.userdbs import UserdbChain, UserdbRow
from services.auth.username import NameRules


class Book:
    """A passdb of the test's own; ``seen`` are the queries it was asked with."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, users: Mapping[str, Entry]) -> None:
        self.users = users
        self.seen: list[tuple[str, str, str]] = []

    async def find(self, query: Query) -> Entry | None:
        self.seen.append((query.user, query.login_user, query.master_user))
        if query.user == "broken":
            raise Unavailable("Down.")
        return self.users.get(query.user)

    def decoy(self) -> str:
        return ""


class Bind(Book):
    """Verifies by itself and cannot look up, like PAM."""

    verifies = True

    def __init__(self, users: Mapping[str, str], answers: Mapping[str, Entry] | None = None) -> None:
        super().__init__({})
        self.passwords = users
        self.answers = answers or {}

    async def find(self, query: Query) -> Entry | None:
        await super().find(query)
        return Entry(outcome=Outcome.SCHEME_NOT_AVAILABLE)

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        if query.user in self.answers:
            return self.answers[query.user]
        if query.user not in self.passwords:
            return None
        right = self.passwords[query.user].encode() == password.reveal()
        return Entry(outcome=Outcome.OK if right else Outcome.MISMATCH, fields={"by": "bind"})


def passdb(driver: Book, **settings: Any) -> PassdbRow:
    made = PassdbSettings(name="db", driver="fake", **settings)
    return PassdbRow("db", made, driver, FieldTemplates(made.fields), "PLAIN", None)


class Scene:
    """A room's decisions over some databases."""

    def __init__(self, *rows: PassdbRow, userdbs: list[UserdbRow] | None = None, **settings: Any) -> None:
        self.rows = list(rows)
        self.userdbs = userdbs or []
        self.settings = AuthSettings(auth_master_user_separator="*", **settings)
        self.text = ""

    def run(self, ask: Any) -> Any:
        read, write = os.pipe()

        async def main() -> Any:
            hasher = Hasher(asyncio.get_running_loop(), threads=1, limit=10)
            chain = PassdbChain(self.rows, SCHEMES, hasher, Fakes(b"key"))
            userdbs = UserdbChain(self.userdbs)
            core = Authenticator(
                self.settings,
                NameRules(self.settings),
                lambda protocol: chain,
                lambda protocol: userdbs,
                Log("", Sink(write)),
                verbose=True,
                debug=False,
            )
            try:
                return await ask(core)
            finally:
                await chain.judge.settled()
                hasher.close()

        try:
            return asyncio.run(main())
        finally:
            os.close(write)
            with open(read, "rb") as log:
                self.text += log.read().decode()

    def login(self, authcid: str, password: str, authzid: str = "", *parameters: bytes, login: bool = False) -> Verdict:
        given = Parameters([b"service=imap", b"rip=192.0.2.1", b"lip=192.0.2.9", b"lport=143", *parameters])
        verify = Verify(authcid.encode(), Secret(password.encode()), authzid.encode())

        async def ask(core: Authenticator) -> Verdict:
            return await core.authenticate(verify, "plain", given, key="k", with_userdb=bool(self.userdbs), login=login)

        found: Verdict = self.run(ask)
        return found


MASTERS = {"root": Entry("{PLAIN}rootpw", {"from_master": "1"})}
USERS = {"bob": Entry("{PLAIN}bobpw", {"from_bob": "1"}), "carol": Entry("{PLAIN}x", {"allow_nets": "10.0.0.0/8"})}


def masters(**settings: Any) -> PassdbRow:
    return passdb(Book(MASTERS), master=True, **settings)


@pytest.mark.parametrize("rule", ["return-ok", "continue", "continue-ok", "continue-fail"])
@pytest.mark.parametrize(("authcid", "authzid"), [("bob*root", ""), ("root", "bob"), ("BOB*Root", "")])
def test_a_master_becomes_another_user(rule: str, authcid: str, authzid: str) -> None:
    book = Book(USERS)
    scene = Scene(masters(result_success=rule), passdb(book))
    verdict = scene.login(authcid, "rootpw", authzid)
    assert verdict.ok and verdict.user == "bob" and verdict.master_user == "root"
    original = {} if authcid == "bob" else {"original_user": authcid}
    assert verdict.fields == {"from_master": "1", "from_bob": "1", **original, "auth_user": "root"}
    assert book.seen == [("bob", "", "root")]


@pytest.mark.parametrize(
    ("authcid", "password", "code"),
    [
        ("bob*root", "bobpw", ""),  # the user's own password is not the master's
        ("bob*root", "wrong", ""),
        ("bob*nobody", "rootpw", ""),
        ("bob*bob", "rootpw", ""),  # nobody else: an ordinary login, with the wrong password
        ("root*bob", "bobpw", ""),  # bob is no master
        ("nobody*root", "rootpw", "authz_fail"),
        ("carol*root", "rootpw", "authz_fail"),  # her networks hold for the master too
        ("broken*root", "rootpw", "temp_fail"),
        ("*root", "rootpw", ""),
        ("bob*", "rootpw", ""),
    ],
)
@pytest.mark.parametrize("rule", ["return-ok", "continue"])
def test_who_does_not_become_another(authcid: str, password: str, code: str, rule: str) -> None:
    verdict = Scene(masters(result_success=rule), passdb(Book(USERS))).login(authcid, password)
    assert not verdict.ok and verdict.code == code


def test_a_master_logs_in_as_himself_only_if_the_ordinary_databases_know_him() -> None:
    assert not Scene(masters(), passdb(Book(USERS))).login("root", "rootpw").ok
    assert Scene(masters(), passdb(Book({**USERS, **MASTERS}))).login("root", "rootpw").user == "root"
    assert Scene(masters(), passdb(Book(USERS))).login("bob*bob", "bobpw").user == "bob"


def test_without_master_databases_nobody_is_a_master() -> None:
    scene = Scene(passdb(Book({**USERS, **MASTERS})))
    assert not scene.login("bob*root", "rootpw").ok and not scene.login("root", "rootpw", "bob").ok
    line = "Attempted master login with no master passdbs (trying to log in as user: bob)"
    assert scene.text.count(line) == 2


def test_whom_no_database_can_look_up_needs_the_rule_that_says_so() -> None:
    pam = passdb(Bind({"bob": "bobpw"}))
    assert Scene(masters(result_success="return-ok"), pam).login("bob*root", "rootpw").user == "bob"
    assert Scene(masters(result_success="continue"), pam).login("bob*root", "rootpw").code == "authz_fail"


def static_userdb(known: set[str]) -> UserdbRow:
    async def exists(query: Query) -> bool:
        return query.user in known

    context: Any = type("Context", (), {"exists": staticmethod(exists)})
    settings = UserdbSettings(name="static", fields={"home": "/h/%{user}"})
    return UserdbRow("static", settings, Static(settings, context), FieldTemplates(settings.fields))


def test_an_unproved_user_must_exist_for_the_userdb() -> None:
    rows = (masters(), passdb(Bind({})))
    known = Scene(*rows, userdbs=[static_userdb({"bob"})])
    assert known.login("bob*root", "rootpw").userdb == {"home": "/h/bob", "master_user": "root"}
    assert known.login("eve*root", "rootpw").code == "authz_fail"


def test_deny_databases_hold_for_the_wanted_user() -> None:
    deny = passdb(Book({"bob": Entry()}), deny=True)
    assert Scene(masters(), deny, passdb(Book(USERS))).login("bob*root", "rootpw").code == "authz_fail"


def test_a_field_may_name_the_wanted_user() -> None:
    book = Book({**USERS, "agent": Entry("{PLAIN}pw", {"login_user": "bob"})})
    verdict = Scene(passdb(book)).login("agent", "pw")
    assert verdict.ok and verdict.user == "bob" and verdict.fields["auth_user"] == "agent"
    assert not Scene(passdb(book)).login("agent", "no").ok
    loop = Book({"a": Entry("{PLAIN}pw", {"login_user": "b"}), "b": Entry("{PLAIN}pw", {"login_user": "a"})})
    assert Scene(passdb(loop)).login("a", "pw").user == "b"


@pytest.mark.parametrize(
    ("authzid", "scheme", "ok"),
    [("bob", "SCRAM-SHA-1", True), ("nobody", "SCRAM-SHA-1", False), ("", "CRAM-MD5", False)],
)
def test_mechanisms_without_the_password_know_masters_too(authzid: str, scheme: str, ok: bool) -> None:
    scene = Scene(masters(), passdb(Book(USERS)))
    lookup = Lookup(b"root", scheme, lambda data: Refuted(), authzid.encode())

    async def ask(core: Authenticator) -> Verdict:
        candidate = await core.candidate(lookup, "scram-sha-1", Parameters([b"service=imap"]), key="k")
        assert candidate.credentials, "nothing shows who exists before the proof"
        return await core.admit(candidate, with_userdb=False)

    verdict = scene.run(ask)
    assert verdict.ok == ok
    if ok:
        assert verdict.user == "bob" and verdict.fields["auth_user"] == "root"
    elif authzid:
        assert verdict.code == "authz_fail"


# --- drivers that verify and judge


def test_a_verifier_is_asked_and_its_find_is_not() -> None:
    bind = Bind({"u": "pw"})
    scene = Scene(passdb(bind))
    verdict = scene.login("u", "pw")
    assert verdict.ok and verdict.fields == {"by": "bind"} and bind.seen == []
    assert not scene.login("u", "no").ok and not scene.login("x", "pw").ok and not scene.login("u", "").ok
    assert "Password mismatch" in scene.text and "unknown user" in scene.text and "empty password" in scene.text


JUDGED = [
    (Outcome.MISMATCH, "", True),
    (Outcome.UNKNOWN, "", True),
    (Outcome.SCHEME_NOT_AVAILABLE, "", True),
    (Outcome.NEXT, "", True),
    (Outcome.DISABLED, "user_disabled", False),
    (Outcome.EXPIRED, "pass_expired", False),
]


@pytest.mark.parametrize(("outcome", "code", "goes_on"), JUDGED)
@pytest.mark.parametrize("verifies", [True, False])
def test_what_a_driver_judges(outcome: Outcome, code: str, goes_on: bool, verifies: bool) -> None:
    entry = Entry("{PLAIN}pw", {"reason": "Ask your boss"}, outcome, "because")
    first = Bind({}, {"u": entry}) if verifies else Book({"u": entry})
    second = passdb(Book({"u": Entry("{PLAIN}pw")}))
    alone = Scene(passdb(first))
    verdict = alone.login("u", "pw")
    assert not verdict.ok
    assert verdict.code == (code or ("temp_fail" if outcome is Outcome.NEXT else ""))
    assert ("because" in alone.text) and (not code or verdict.reason == "Ask your boss")
    assert Scene(passdb(first), second).login("u", "pw").ok == goes_on
    lax = passdb(first, result_failure="return-ok", result_success="continue-ok")
    assert Scene(lax).login("u", "pw").ok == (goes_on and outcome is not Outcome.NEXT)


def test_a_driver_that_crashes_is_an_internal_failure_of_its_own() -> None:
    class Crash(Book):
        async def find(self, query: Query) -> Entry | None:
            raise ZeroDivisionError

    good = passdb(Book({"u": Entry("{PLAIN}pw")}))
    scene = Scene(passdb(Crash({})), good)
    assert scene.login("u", "pw").ok and "ZeroDivisionError" in scene.text
    assert Scene(passdb(Crash({}))).login("u", "pw").code == "temp_fail"


# --- fields


def test_nopassword_with_a_password_is_an_error_and_counts_for_nothing() -> None:
    scene = Scene(passdb(Book({"u": Entry("{PLAIN}pw", {"nopassword": "yes"})})))
    assert not scene.login("u", "no").ok and scene.login("u", "pw").ok
    assert scene.text.count("nopassword given and password is not empty") == 2
    for empty in (None, "", "{PLAIN}"):
        assert Scene(passdb(Book({"u": Entry(empty, {"nopassword": "yes"})}))).login("u", "any").ok


def test_a_failure_may_be_told_at_once_or_late() -> None:
    scene = Scene(passdb(Book({"u": Entry("{PLAIN}pw", {"nodelay": "yes"})})))
    assert scene.login("u", "no").nodelay and not scene.login("x", "no").nodelay
    import time

    soon = str(int(time.time()) + 100)
    verdict = Scene(passdb(Book({"u": Entry("{PLAIN}pw", {"delay_until": soon})}))).login("u", "pw")
    assert verdict.ok and verdict.delay_until == int(soon) and "delay_until" not in verdict.fields
    far = str(int(time.time()) + 1000)
    late = Scene(passdb(Book({"u": Entry("{PLAIN}pw", {"delay_until": far})})))
    assert not late.login("u", "pw").ok and "too much in the future" in late.text


def test_proxy_fields_and_who_hears_the_password() -> None:
    users = {
        "u": Entry("{PLAIN}pw", {"proxy": "yes", "host": "h"}),
        "v": Entry("{PLAIN}pw", {"proxy": "y", "pass": "t"}),
    }
    scene = Scene(masters(), passdb(Book(users)))
    assert scene.login("u", "pw").fields == {"proxy": "yes", "host": "h"}
    assert scene.login("u", "pw", login=True).fields == {"proxy": "yes", "host": "h", "pass": "pw"}
    assert scene.login("v", "pw").fields == {"proxy": "y"}
    assert scene.login("v", "pw", login=True).fields == {"proxy": "y", "pass": "t"}
    assert scene.login("u*root", "rootpw", login=True).fields["master"] == "root"
    assert "pw" not in repr(scene.login("u", "pw", login=True))


def test_prefetched_fields_are_the_userdbs_answer() -> None:
    settings = UserdbSettings(name="prefetch")
    context: Any = None
    prefetch = UserdbRow("prefetch", settings, Prefetch(settings, context), FieldTemplates({}))
    other = UserdbSettings(name="static", fields={"home": "/other/%{passdb:a}"}, static_allow_all_users=True)
    asked: Any = type("Context", (), {"exists": None})
    static = UserdbRow("static", other, Static(other, asked), FieldTemplates(other.fields))
    users = {
        "u": Entry("{PLAIN}pw", {"userdb_home": "/h", "userdb_userdb_import": "a=1\tquota=2", "x": "y"}),
        "v": Entry("{PLAIN}pw", {"a": "b"}),
    }
    scene = Scene(passdb(Book(users)), userdbs=[prefetch, static])
    verdict = scene.login("u", "pw")
    assert verdict.userdb == {"home": "/h", "a": "1", "quota": "2"} and verdict.fields == {"x": "y"}
    assert verdict.passdb_fields["userdb_home"] == "/h"
    assert scene.login("v", "pw").userdb == {"home": "/other/b"}


def test_the_next_database_sees_what_came_before() -> None:
    seen: list[tuple[dict[str, str], bool, bool]] = []

    class Last(Book):
        async def find(self, query: Query) -> Entry | None:
            seen.append((dict(query.passdb_fields), query.seen_unknown, query.seen_internal))
            return Entry("{PLAIN}pw")

    fields = passdb(Book({"u": Entry(None, {"noauthenticate": "yes", "a": "1", "userdb_b": "2"})}))
    assert Scene(passdb(Book({})), fields, passdb(Last({}))).login("u", "pw").ok
    assert Scene(passdb(Book({})), passdb(Last({}))).login("broken", "pw").ok
    assert seen == [({"a": "1", "userdb_b": "2"}, True, False), ({}, False, True)]


class Writer(Book):
    """Keeps what it is told to store."""

    stored: list[tuple[str, str]]

    def __init__(self, users: Mapping[str, Entry], fails: Exception | None = None) -> None:
        super().__init__(users)
        self.stored = []
        self.fails = fails

    async def store(self, query: Query, password_text: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.stored.append((query.user, password_text))


def rehashing(driver: Writer) -> PassdbRow:
    made = PassdbSettings(name="db", driver="fake", rehash_scheme="SSHA512")
    return PassdbRow("db", made, driver, FieldTemplates({}), "PLAIN", None, SCHEMES["SSHA512"])


def test_a_right_password_is_stored_by_the_better_scheme() -> None:
    writer = Writer({"u": Entry("{PLAIN}pw"), "v": Entry("pw", {"nopassword": "yes", "password": "{PLAIN}pw"})})
    scene = Scene(rehashing(writer))
    assert not scene.login("u", "no").ok and writer.stored == []
    assert scene.login("u", "pw").ok
    ((user, text),) = writer.stored
    assert user == "u" and text.startswith("{SSHA512}")
    again = Writer({"u": Entry(text)})
    assert Scene(rehashing(again)).login("u", "pw").ok and again.stored == []
    assert scene.login("v", "pw").ok and len(writer.stored) == 1, "a password out of a field is not the database's"


@pytest.mark.parametrize("error", [Unavailable("Disk full."), OSError("no"), ZeroDivisionError()])
def test_a_rehash_that_fails_fails_no_login(error: Exception) -> None:
    scene = Scene(rehashing(Writer({"u": Entry("{PLAIN}pw")}, error)))
    assert scene.login("u", "pw").ok
    assert "The password could not be stored by SSHA512" in scene.text and "{SSHA512}" not in scene.text


def test_what_is_plain() -> None:
    def plain(*rows: PassdbRow) -> bool:
        class NoHasher:
            pass

        hasher: Any = NoHasher()
        return PassdbChain(list(rows), SCHEMES, hasher, Fakes(b"")).plain

    assert plain(passdb(Book({})))
    assert not plain(passdb(Bind({}))) and not plain(rehashing(Writer({}))) and not plain(passdb(Book({})), masters())
    for special in (
        {"deny": True},
        {"mechanisms_filter": ("plain",)},
        {"username_filter": ("a",)},
        {"fields": {"a": "b"}},
        {"fields_import_all": False},
        {"skip": "authenticated"},
        {"result_success": "continue"},
        {"result_failure": "return-ok"},
        {"result_internalfail": "return-ok"},
    ):
        assert not plain(passdb(Book({}), **special)), special
