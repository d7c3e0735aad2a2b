"""What every user database must do (``roost/auth/api.py``), as tests for pytest.

Derive a class from ``UserdbSuite`` in a test module of your own, name it ``Test…`` and implement ``make``::

    class TestMyDriver(UserdbSuite):
        def make(self, tmp_path, users):
            …
            return MyDriver(…)

A driver that knows everybody sets ``everybody = True``; one that cannot list its users sets ``iterates = False``; one
whose source can fail implements ``break_source``, one whose source can change ``change``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from roost.auth.api import VARIABLES, Query, Userdb, variables_of
from roost.errors import Unavailable
from roost.testing.passdb import HOSTILE_NAMES


@dataclass(frozen=True)
class Place:
    """A user the driver under test is to know, and the fields it is to answer with."""

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)


PLACES = (
    Place("alice", {"uid": "1001", "gid": "100", "home": "/home/alice"}),
    Place("bob@example.org", {"uid": "1002", "gid": "100", "home": "/home/bob", "quota_mail_size": "10M"}),
    Place("carol", {"home": "/srv/carol"}),
)


class UserdbSuite:
    """The tests. See the head of this file."""

    everybody = False
    iterates = True

    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        """A driver that knows exactly these users (one for everybody: the first one's fields)."""
        raise AssertionError("implement make()")

    def break_source(self, tmp_path: Path) -> None:
        """Make the driver unable to tell. Skips the test unless overridden."""
        pytest.skip("this driver has no source that can fail")

    def change(self, tmp_path: Path, users: Sequence[Place]) -> None:
        """Replace what is stored. Skips the test unless overridden."""
        pytest.skip("this driver has no source that can change")

    def ask(self, driver: Userdb, *names: str) -> list[Mapping[str, str] | None]:
        """All names at once, each by its own query."""

        async def together() -> list[Mapping[str, str] | None]:
            queries = [Query(name, {"service": "test"}, "", name) for name in names]
            return list(await asyncio.gather(*(driver.find(query) for query in queries)))

        return asyncio.run(together())

    def names(self, driver: Userdb) -> list[str] | None:
        """What ``iterate`` gives."""

        async def run() -> list[str] | None:
            found = driver.iterate()
            return None if found is None else [name async for name in found]

        return asyncio.run(run())

    def test_a_known_user_has_his_fields(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, PLACES)
        for place in PLACES[:1] if self.everybody else PLACES:
            (fields,) = self.ask(driver, place.name)
            assert fields is not None and dict(fields) == dict(place.fields)

    def test_an_unknown_user_is_none(self, tmp_path: Path) -> None:
        found = self.ask(self.make(tmp_path, PLACES), "mallory", "alicealice", "bob", "example.org", "@example.org")
        assert all((fields is not None) == self.everybody for fields in found)

    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:24])
    def test_a_hostile_name_is_data(self, tmp_path: Path, name: str) -> None:
        (fields,) = self.ask(self.make(tmp_path, PLACES), name)
        assert (fields is not None) == self.everybody

    def test_queries_at_once_do_not_mix(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, PLACES)
        names = [place.name for place in PLACES] + ["mallory"]
        alone = [self.ask(driver, name)[0] for name in names]
        assert self.ask(driver, *(names * 25)) == alone * 25

    def test_asking_changes_nothing(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, PLACES)
        query = Query("alice", {"service": "test"}, "", "Alice")
        asyncio.run(driver.find(query))
        assert query == Query("alice", {"service": "test"}, "", "Alice")

    def test_every_user_is_listed(self, tmp_path: Path) -> None:
        names = self.names(self.make(tmp_path, PLACES))
        if self.iterates:
            assert names is not None and sorted(names) == sorted(place.name for place in PLACES)
        else:
            assert names is None

    def test_the_variables_exist(self, tmp_path: Path) -> None:
        assert (variables_of(self.make(tmp_path, PLACES)) or frozenset()) <= set(VARIABLES)

    def test_a_failing_source_is_unavailable_and_not_an_unknown_user(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, PLACES)
        self.break_source(tmp_path)
        for name in ("alice", "mallory"):
            with pytest.raises(Unavailable):
                self.ask(driver, name)
        if self.iterates:
            with pytest.raises(Unavailable):
                self.names(driver)

    def test_a_change_of_the_source_is_seen(self, tmp_path: Path) -> None:
        driver = self.make(tmp_path, PLACES)
        self.ask(driver, "alice")
        self.change(tmp_path, (Place("dora", {"home": "/d"}), Place("alice", {"home": "/new"})))
        alice, dora, carol = self.ask(driver, "alice", "dora", "carol")
        assert alice is not None and alice["home"] == "/new" and dora is not None and carol is None
