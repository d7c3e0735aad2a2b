"""What every password database must do (``roost/auth/api.py``), as tests for pytest.

Derive a class from ``PassdbSuite`` in a test module of your own, name it ``Test…`` and implement ``make``::

    class TestMyDriver(PassdbSuite):
        def make(self, tmp_path, users):
            …
            return MyDriver(…)

A driver that knows everybody (like ``static``) sets ``everybody = True``; one that cannot store per-user fields sets
``fields = False``; one that verifies passwords and cannot tell what is stored sets ``lookups = False``; one whose
source can fail implements ``break_source``, one whose source can change ``change``. What a driver can do beside
``find`` (``verify``, ``store``) is found and tested. ``driver_context()`` makes what a factory is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from roost.auth.api import VARIABLES, DriverContext, Entry, Outcome, Passdb, Query, store_of, variables_of, verifier_of
from roost.errors import Unavailable
from roost.events.log import Log
from roost.util.secret import Secret


@dataclass(frozen=True)
class StoredUser:
    """A user the driver under test is to know. ``password`` is the stored form, with its scheme."""

    name: str
    password: str
    fields: Mapping[str, str] = field(default_factory=dict)


USERS = (
    StoredUser("alice", "{PLAIN}alice-secret", {"allow_nets": "192.0.2.0/24"}),
    StoredUser("bob@example.org", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", {"userdb_quota": "1G"}),
    StoredUser("carol", "{BLF-CRYPT}$2y$05$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu"),
)

KNOWN_PASSWORD = b"alice-secret"  # alice's
WRONG_PASSWORDS = (
    b"",
    b"alice-secre",
    b"alice-secret ",
    b"Alice-secret",
    b"alice-secret\0",
    b"{PLAIN}alice-secret",
    b"*",
)

# Names that have been used to break out of queries, paths, lines and templates. None of them exists.
HOSTILE_NAMES = (
    "",
    " ",
    "*",
    "?",
    "alice*",
    "alice ",
    " alice",
    "alice\0",
    "alice\n",
    "alice\r\nmallory",
    "alice:",
    "alice:x:0:0",
    "#alice",
    ":",
    "alice\tnopassword=yes",
    "..",
    "../alice",
    "/etc/passwd",
    "a/../alice",
    "%{user}",
    "%{username}",
    "%%",
    "${HOME}",
    "alice' OR '1'='1",
    'alice"; --',
    "alice)(uid=*",
    "\\alice",
    "\udcff\udcfe",
    "álïce",
    "alice\u202e",
    "a" * 4096,
)


T = TypeVar("T")


async def _in_thread(fn: Callable[..., T], *args: object) -> T:
    return await asyncio.to_thread(fn, *args)


async def _nobody(query: Query) -> bool:
    return False


def driver_context() -> DriverContext:
    """A context as the auth room gives to drivers, without a room."""
    return DriverContext(Log("auth: "), _in_thread, _nobody)


class PassdbSuite:
    """The tests. See the head of this file."""

    everybody = False
    fields = True
    lookups = True

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        """A driver that knows exactly these users (a driver for everybody: the first one's password)."""
        raise AssertionError("implement make()")

    def break_source(self, tmp_path: Path) -> None:
        """Make the driver unable to tell. Skips the test unless overridden."""
        pytest.skip("this driver has no source that can fail")

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        """Replace what is stored. Skips the test unless overridden."""
        pytest.skip("this driver has no source that can change")

    def ask(self, driver: Passdb, *names: str) -> list[Entry | None]:
        """All names at once, each by its own query."""

        async def together() -> list[Entry | None]:
            queries = [Query(name, {"service": "test", "rip": "192.0.2.1"}, "plain", name) for name in names]
            return list(await asyncio.gather(*(driver.find(query) for query in queries)))

        return asyncio.run(together())

    def verify(self, driver: Passdb, name: str, password: bytes) -> Entry | None:
        """Ask a driver that verifies. Skips the test for others."""
        verifier = verifier_of(driver)
        if verifier is None:
            pytest.skip("this driver verifies nothing by itself")
        query = Query(name, {"service": "test", "rip": "192.0.2.1"}, "plain", name)
        return asyncio.run(verifier.verify(query, Secret(password)))

    def test_the_right_password_is_right_and_others_are_not(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        entry = self.verify(driver, "alice", KNOWN_PASSWORD)
        assert entry is not None and entry.outcome is Outcome.OK
        if entry.unverified:
            pytest.skip("this driver looks at no password: the room compares")
        for wrong in WRONG_PASSWORDS:
            entry = self.verify(driver, "alice", wrong)
            assert entry is not None and entry.outcome is Outcome.MISMATCH, wrong
            assert KNOWN_PASSWORD.decode() not in entry.reason

    def test_who_is_unknown_has_no_password(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        for name in ("mallory", *HOSTILE_NAMES):
            entry = self.verify(driver, name, KNOWN_PASSWORD)
            if not self.everybody:
                assert entry is None or entry.outcome in (Outcome.UNKNOWN, Outcome.MISMATCH), ascii(name)

    def test_a_stored_password_is_replaced(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        store = store_of(driver)
        if store is None:
            pytest.skip("this driver stores nothing")
        asyncio.run(store.store(Query("alice", {"service": "test"}), "{SSHA}b3RoZXItb2N0ZXRzLWhlcmUhISE="))
        alice, bob = self.ask(driver, "alice", "bob@example.org")
        assert alice is not None and alice.password == "{SSHA}b3RoZXItb2N0ZXRzLWhlcmUhISE="
        assert bob is not None and bob.password == USERS[1].password

    def test_a_known_user_has_the_stored_password(self, tmp_path: Path) -> None:
        if not self.lookups:
            pytest.skip("this driver tells no passwords")
        driver = self.make(tmp_path, USERS)
        for user in USERS[:1] if self.everybody else USERS:
            (entry,) = self.ask(driver, user.name)
            assert entry is not None and entry.password == user.password and entry.outcome is Outcome.OK

    def test_who_tells_no_passwords_says_so(self, tmp_path: Path) -> None:
        if self.lookups:
            pytest.skip("this driver tells passwords")
        (entry,) = self.ask(self.make(tmp_path, USERS), "alice")
        assert entry is not None and (entry.outcome is Outcome.SCHEME_NOT_AVAILABLE or entry.password is None)

    def test_fields_belong_to_their_user(self, tmp_path: Path) -> None:
        if not self.fields or not self.lookups:
            pytest.skip("this driver stores no fields, or tells them to nobody without a password")
        driver = self.make(tmp_path, USERS)
        for user in USERS:
            (entry,) = self.ask(driver, user.name)
            assert entry is not None
            assert {key: entry.fields.get(key) for key in user.fields} == dict(user.fields)
            others = {key for other in USERS for key in other.fields} - set(user.fields)
            assert not others & set(entry.fields)

    def test_an_unknown_user_is_none(self, tmp_path: Path) -> None:
        if not self.lookups:
            pytest.skip("this driver cannot look up")
        entries = self.ask(self.make(tmp_path, USERS), "mallory", "alicealice", "bob", "example.org", "@example.org")
        assert all((entry is not None) == self.everybody for entry in entries)

    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:24])
    def test_a_hostile_name_is_data(self, tmp_path: Path, name: str) -> None:
        (entry,) = self.ask(self.make(tmp_path, USERS), name)
        if self.lookups:
            assert (entry is not None) == self.everybody

    def test_queries_at_once_do_not_mix(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        names = [user.name for user in USERS] + ["mallory"]
        alone = [self.ask(driver, name)[0] for name in names]
        together = self.ask(driver, *(names * 25))
        assert together == alone * 25

    def test_asking_changes_nothing(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        query = Query("alice", {"service": "test"}, "plain", "Alice")
        before = (query.user, dict(query.parameters), query.original_user, query.authenticated)
        asyncio.run(driver.find(query))
        assert (query.user, dict(query.parameters), query.original_user, query.authenticated) == before

    def test_an_entry_never_shows_its_password(self, tmp_path: Path) -> None:
        (entry,) = self.ask(self.make(tmp_path, USERS), "alice")
        assert "alice-secret" not in repr(entry) and "alice-secret" not in str(entry)

    def test_the_decoy_is_text_before_and_after_the_first_question(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        assert isinstance(driver.decoy(), str)
        self.ask(driver, "mallory")
        assert isinstance(driver.decoy(), str)

    def test_the_variables_exist(self, tmp_path: Path) -> None:
        assert (variables_of(self.make(tmp_path, USERS)) or frozenset()) <= set(VARIABLES)

    def test_a_failing_source_is_unavailable_and_not_an_unknown_user(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        self.break_source(tmp_path)
        for name in ("alice", "mallory"):
            with pytest.raises(Unavailable):
                self.ask(driver, name)

    def test_a_change_of_the_source_is_seen(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, USERS)
        self.ask(driver, "alice")
        self.change(tmp_path, (StoredUser("dora", "{PLAIN}new"), StoredUser("alice", "{PLAIN}changed")))
        if not self.lookups:
            entry = self.verify(driver, "dora", b"new")
            assert entry is not None and entry.outcome is Outcome.OK
            return
        alice, dora, bob = self.ask(driver, "alice", "dora", "bob@example.org")
        assert alice is not None and alice.password == "{PLAIN}changed"
        assert dora is not None and bob is None
