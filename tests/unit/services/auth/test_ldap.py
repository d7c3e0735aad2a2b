"""passdb and userdb ldap on a real slapd: the drivers' suites by bind and by search, names, fields, the start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.ldap_users import FIELDS, add, binding, fill, find, passdb, userdb, verify
from kit.slapd import Slapd, directory

from roost.auth.api import Outcome, Passdb, Query, Userdb
from roost.errors import ConfigError, Unavailable
from roost.testing.passdb import (
    HOSTILE_NAMES,
    KNOWN_PASSWORD,
    USERS,
    PassdbSuite,
    StoredUser,
)
from roost.testing.userdb import Place, UserdbSuite
from services.auth.ldap import escape

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True, scope="module")
def server() -> Slapd:
    return directory()


class TestPassdb(PassdbSuite):
    """The directory says what is stored."""

    branch = ""

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        type(self).branch = directory().branch()
        fill(self.branch, [StoredUser(one.name, one.password, one.fields) for one in users])
        fields = {**FIELDS, "password": "{PLAIN}%{ldap:userPassword}"} if users[0].name == "dora" else FIELDS
        return _Prefixed(passdb(self.branch, fields=fields))

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        fill(self.branch, users)

    def break_source(self, tmp_path: Path) -> None:
        directory().empty(self.branch)
        with directory().connected() as one:
            assert one.delete(self.branch)


class _Prefixed:
    """slapd would verify ``{PLAIN}`` as a scheme it does not know, so plain passwords are stored without."""

    def __init__(self, driver: Passdb) -> None:
        self._driver = driver
        self.variables = driver.variables

    async def find(self, query: Query) -> Any:
        entry = await self._driver.find(query)
        if entry is not None and entry.password and not entry.password.startswith("{"):
            return type(entry)("{PLAIN}" + entry.password, entry.fields)
        return entry

    def decoy(self) -> str:
        return self._driver.decoy()


class TestBind(PassdbSuite):
    """The directory verifies, after a search."""

    lookups = False
    branch = ""

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        type(self).branch = directory().branch()
        fill(self.branch, users)
        return binding(self.branch)

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        fill(self.branch, users)


class TestUserdn(TestBind):
    """The directory verifies under a name that is made of the user's."""

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        type(self).branch = directory().branch()
        self.change(tmp_path, users)
        return binding(self.branch, ldap_bind_userdn=f"cn=%{{user}},{self.branch}", ldap_filter="")

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        directory().empty(self.branch)
        for user in users:
            dn = f"cn={escape.value(user.name)},{self.branch}"
            directory().add(dn, ["person"], {"sn": "x", "userPassword": user.password.removeprefix("{PLAIN}")})


class TestUserdb(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        branch = directory().branch()
        for number, place in enumerate(users):
            given = place.fields
            numbers = {"roomNumber": given.get("uid"), "departmentNumber": given.get("gid")}
            more = {"homeDirectory": given["home"], "employeeType": given.get("quota_mail_size")}
            add(branch, number, place.name, **numbers, **more)
        fields = {
            "uid": "%{ldap:roomNumber}",
            "gid": "%{ldap:departmentNumber}",
            "home": "%{ldap:HOMEDIRECTORY}",
            "quota_mail_size": "%{ldap:employeeType}",
        }
        return userdb(branch, fields=fields, ldap_page_size=2)


@pytest.fixture(scope="module")
def branch() -> str:
    made = directory().branch()
    fill(made, USERS)
    return made


def test_an_empty_password_lets_nobody_in(branch: str) -> None:
    """A bind with a name and no password is an anonymous one, which servers answer with success (RFC 4513 §5.1.2)."""
    assert verify(binding(branch), "alice", b"") is Outcome.MISMATCH
    assert verify(binding(branch, ldap_bind_userdn="cn=n0," + branch), "alice", b"") is Outcome.MISMATCH
    assert verify(binding(branch, ldap_bind_userdn="cn=n0," + branch), "alice", KNOWN_PASSWORD) is Outcome.OK
    assert verify(binding(branch, ldap_bind_userdn="%{user}"), "", KNOWN_PASSWORD) is None


@pytest.mark.parametrize("name", ["*", "a*", "alice)(uid=*", "*)(uid=alice", "alice)(|(uid=*", "(uid=alice)"])
def test_a_name_is_no_filter(branch: str, name: str) -> None:
    assert find(passdb(branch, fields=FIELDS), name) is None
    assert find(passdb(branch, fields=FIELDS, ldap_filter="(uid=%{user | safe})"), name) is None


def test_a_name_is_no_distinguished_name(branch: str) -> None:
    driver = binding(branch, ldap_bind_userdn=f"cn=%{{user}},{branch}")
    assert verify(driver, "n0", KNOWN_PASSWORD) is Outcome.OK
    for name in (f"n0,{branch}", "n0+sn=x", "n0\\", 'n0"', "n0;", "#n0", "n0<", "n0=", "*", f"n0,{branch}\0"):
        assert verify(driver, name, KNOWN_PASSWORD) is not Outcome.OK, name


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8"), max_size=40) | st.text('*()\\,=+<>#;"\0 n0alice', max_size=20))
def test_only_who_is_stored_is_found(branch: str, name: str) -> None:
    if name.lower() != "alice":
        assert find(passdb(branch, fields=FIELDS), name) is None
    if name.lower() != "n0":
        driver = binding(branch, ldap_bind_userdn=f"cn=%{{user}},{branch}")
        assert verify(driver, name, KNOWN_PASSWORD) is not Outcome.OK


@given(text=st.text(max_size=50))
def test_what_is_escaped_has_no_meaning_and_can_be_read_back(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    escaped = escape.value(text)
    assert not set(escaped) & set('*()\0 ,=+<>#;"')
    octets = bytearray()
    rest = escaped
    while rest:
        octets += bytes.fromhex(rest[1:3]) if rest[0] == "\\" else rest[0].encode()
        rest = rest[3:] if rest[0] == "\\" else rest[1:]
    assert octets.decode() == text


def test_a_base_for_each_domain(branch: str) -> None:
    base = "%{domain | ldap_dn}"
    organisation = {"ldap_base": f"ou={branch[3:].partition(',')[0]},dc={base}", "ldap_filter": "(uid=%{username})"}
    driver = passdb(branch, fields=FIELDS, **organisation)
    assert find(driver, "alice@example.org").password == "alice-secret"
    assert find(driver, "alice@nowhere.org") is None
    assert find(driver, "alice@example.org,dc=x") is None
    assert driver.variables == {"domain", "username"}


def test_fields_are_there_when_their_attributes_are(branch: str) -> None:
    fields = {
        "password": "%{ldap:userPassword}",
        "none": "%{ldap:mail}",
        "default": "%{ldap:mail | default('x')}",
        "dn": "%{ldap:dn}",
        "user": "%{ldap:uid | upper}",
        "home": "/mail/%{ldap:uid}/%{user}",
        "fixed": "yes",
    }
    add(branch, 50, "../up")
    found = find(passdb(branch, fields=fields), "../up")
    assert dict(found.fields) == {
        "default": "x",
        "dn": f"cn=n50,{branch}",
        "user": "../UP",
        "home": "/mail/%2e%2e%2fup/%2e%2e%2fup",
        "fixed": "yes",
    }


def test_attributes_with_several_values(branch: str) -> None:
    add(branch, 51, "many", mail=["b@x.org", "a@x.org"], userPassword=["one", "two"])
    found = find(userdb(branch, fields={"all": "%{ldap_multi:mail | list}", "one": "%{ldap:mail}"}), "many")
    assert sorted(found["all"].split(",")) == ["a@x.org", "b@x.org"] and found["one"] in ("a@x.org", "b@x.org")
    with pytest.raises(Unavailable, match="Multiple password values not supported"):
        find(passdb(branch, fields=FIELDS), "many")


def test_several_entries_are_a_failure(branch: str) -> None:
    with pytest.raises(Unavailable, match="returned several entries"):
        find(passdb(branch, fields=FIELDS, ldap_filter="(objectClass=posixAccount)"), "alice")
    with pytest.raises(Unavailable, match="noSuchObject"):
        find(passdb("ou=nothing,dc=example,dc=org", fields=FIELDS), "alice")


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"ldap_uris": ""}, "ldap_uris"),
        ({"ldap_uris": "http://x"}, "ldap_uris"),
        ({"ldap_uris": "ldap://"}, "ldap_uris"),
        ({"ldap_filter": ""}, "passdb_ldap_filter"),
        ({"ldap_filter": "(uid=%{user}"}, "passdb_ldap_filter"),
        ({"ldap_filter": "(uid=%{usr})"}, "passdb_ldap_filter"),
        ({"ldap_base": "%{usr}"}, "ldap_base"),
        ({"ldap_auth_dn": ""}, "ldap_auth_dn"),
        ({"fields": {}}, "passdb ldap"),
        ({"fields": {"password": "%{ldp:x}"}}, "passdb ldap"),
        ({"ldap_bind_userdn": "cn=%{user}"}, "passdb_ldap_bind_userdn"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        passdb("dc=x", **{"fields": FIELDS, **more})
    assert caught.value.key == key


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldap3", None)
    for name in ("connection", "directory"):
        monkeypatch.delitem(sys.modules, f"services.auth.ldap.{name}", raising=False)
        monkeypatch.delattr(f"services.auth.ldap.{name}", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'roost\[ldap\]'"):
        passdb("dc=x", fields=FIELDS)


def test_hostile_names_are_nobody(branch: str) -> None:
    driver = binding(branch)
    for name in (*HOSTILE_NAMES, "ａlice", "al\u00adice", "alice\u00a0", "ali\ufb01"):
        assert verify(driver, name, KNOWN_PASSWORD) is None, ascii(name)
        assert find(userdb(branch), name) is None, ascii(name)
