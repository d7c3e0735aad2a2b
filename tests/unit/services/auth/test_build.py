"""From the configuration to chains: what is refused at the start, drivers of other packages, ids of userdbs."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from roost.auth.api import Query
from roost.errors import ConfigError, Unavailable
from roost.events.log import Log, Sink
from roost.settings.schema.auth import AuthSettings, PassdbSettings, UserdbSettings
from roost.settings.schema.logging import LoggingSettings
from roost.worker.offload import Offload
from services.auth import owners
from services.auth.build import Builder
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.passdbs import PassdbChain
from services.auth.templates import FieldTemplates
from services.auth.userdbs import Found, UserdbChain, UserdbOutcome, UserdbRow

STATIC = PassdbSettings(name="static", static_password="{PLAIN}pw")


class Databases:
    def __init__(self, passdbs: list[PassdbSettings], userdbs: list[UserdbSettings]) -> None:
        self.passdbs = passdbs
        self.userdbs = userdbs

    def passdbs_of(self, protocol: str) -> list[PassdbSettings]:
        return self.passdbs

    def userdbs_of(self, protocol: str) -> list[UserdbSettings]:
        return self.userdbs


def build(passdbs: list[PassdbSettings], userdbs: list[UserdbSettings] | None = None, **settings: Any) -> PassdbChain:
    async def run() -> PassdbChain:
        loop = asyncio.get_running_loop()
        hasher = Hasher(loop, threads=1, limit=10)
        log = Log("", Sink(os.open(os.devnull, os.O_WRONLY)))
        databases = Databases(passdbs, userdbs or [])
        builder = Builder(databases, AuthSettings(**settings), LoggingSettings(), hasher, Offload(loop), log)
        try:
            await builder.check()
            return builder.passdbs("")
        finally:
            hasher.close()

    return asyncio.run(run())


MASTER = PassdbSettings(name="masters", driver="static", master=True)


@pytest.mark.parametrize(
    ("passdbs", "mechanisms", "text"),
    [
        ([], ("plain",), "No passdbs specified in configuration file. PLAIN mechanism needs one"),
        ([MASTER], ("anonymous", "scram-sha-1"), "No passdbs specified.* SCRAM-SHA-1 mechanism needs one"),
        ([PassdbSettings(name="deny")], ("plain", "cram-md5"), "CRAM-MD5 mechanism can't be supported with given"),
        (
            [PassdbSettings(name="static", mechanisms_filter=("plain",))],
            ("plain", "scram-sha-256"),
            "SCRAM-SHA-256 mechanism can't be supported",
        ),
        ([PassdbSettings(name="static", deny=True)], ("digest-md5",), "DIGEST-MD5 mechanism can't be supported"),
        (
            [PassdbSettings(name="static", result_success="continue"), MASTER],
            ("plain",),
            "Last passdb can't have result_success=continue",
        ),
        ([PassdbSettings(name="static", master=True, deny=True), STATIC], ("plain",), "Master passdb can't have deny"),
        ([PassdbSettings(name="cloud")], ("plain",), r"Unknown passdb driver 'cloud' \(there are: .*static"),
        ([PassdbSettings(name="static", rehash_scheme="SSHA512")], ("plain",), "cannot store passwords"),
        ([PassdbSettings(name="static", rehash_scheme="ROT13")], ("plain",), "Unknown scheme ROT13"),
        ([PassdbSettings(name="static", rehash_scheme="DIGEST-MD5")], ("plain",), "tied to the user|Unknown"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(passdbs: list[PassdbSettings], mechanisms: tuple[str, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        build(passdbs, auth_mechanisms=mechanisms)


def test_what_makes_sense() -> None:
    build([], auth_mechanisms=("anonymous",))
    chain = build([MASTER, PassdbSettings(name="x", driver="deny"), STATIC], auth_mechanisms=("plain", "scram-sha-1"))
    assert [row.name for row in chain.rows] == ["x", "static"] and [row.name for row in chain.masters] == ["masters"]
    assert chain.rows[0].settings.deny, "the driver deny needs no deny = yes"
    assert not chain.plain and build([STATIC]).plain


def test_drivers_of_other_packages_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "roost_broken-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roost-broken\nVersion: 0.1.0\n")
    points = "absent = no_such_module:make\nraising = broken_drivers:raising\nempty = broken_drivers:empty\n"
    (info / "entry_points.txt").write_text(f"[roost.passdb]\n{points}[roost.userdb]\n{points}")
    (tmp_path / "broken_drivers.py").write_text(
        "def raising(settings, context):\n    raise KeyError(settings['k'])\nempty = lambda settings, context: 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in (
        ("absent", "passdb absent: absent: cannot load no_such_module:make"),
        ("raising", "raising: KeyError: 'v'"),
        ("empty", "empty: the driver has no method find"),
    ):
        with pytest.raises(ConfigError, match=text):
            build([PassdbSettings(name=name, python_settings={"k": "v"})])
        with pytest.raises(ConfigError, match=text.replace("passdb", "userdb")):
            build([STATIC], [UserdbSettings(name=name, python_settings={"k": "v"})])


# --- ids


class Place:
    variables: frozenset[str] | None = None

    def __init__(self, fields: Mapping[str, str], names: tuple[str, ...] = (), fails: bool = False) -> None:
        self.fields = fields
        self.names = names
        self.fails = fails

    async def find(self, query: Query) -> Mapping[str, str] | None:
        return self.fields

    def iterate(self) -> AsyncIterator[str] | None:
        return self._names()

    async def _names(self) -> AsyncIterator[str]:
        for name in self.names:
            yield name
        if self.fails:
            raise Unavailable("Down.", detail="server is down")


def place(driver: Place, **settings: Any) -> UserdbRow:
    made = UserdbSettings(name="db", **settings)
    return UserdbRow("db", made, driver, FieldTemplates(made.fields))


def find(*rows: UserdbRow) -> UserdbOutcome:
    async def run() -> UserdbOutcome:
        log = Log("", Sink(os.open(os.devnull, os.O_WRONLY)))
        return await UserdbChain(list(rows)).ask(Query("u"), Journal(log, "u", "", {}, verbose=False, debug=False))

    return asyncio.run(run())


def test_names_become_numbers(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.geteuid())
    fields = {"uid": me.pw_name, "gid": "root", "system_groups_user": me.pw_name}
    assert find(place(Place(fields))).fields == {"uid": str(me.pw_uid), "gid": "0", "system_groups_user": me.pw_name}
    assert find(place(Place({"uid": "1000", "gid": "007"}))).fields == {"uid": "1000", "gid": "007"}
    (tmp_path / "owner").write_text("")
    found = find(place(Place({"uidgid_file": str(tmp_path / "owner")})))
    assert found.fields == {"uid": str(os.geteuid()), "gid": str(os.stat(tmp_path / "owner").st_gid)}


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": "no-such-user"},
        {"gid": "no-such-group"},
        {"uid": ""},
        {"uid": "-1"},
        {"uid": "4294967295"},
        {"uid": "a\0b"},
        {"uid": "١"},
        {"uidgid_file": "/no/such/file"},
        {"system_groups_user": "no-such-user"},
    ],
)
def test_unknown_names_are_temporary_failures(fields: dict[str, str]) -> None:
    assert find(place(Place(fields))).result is Found.INTERNAL
    with pytest.raises(Unavailable):
        owners.resolve(dict(fields))


def test_userdb_import() -> None:
    assert find(place(Place({"userdb_import": "a=1\tb", "c": "2"}))).fields == {"a": "1", "b": "yes", "c": "2"}


def test_iteration_goes_on_after_a_database_that_fails() -> None:
    rows = [place(Place({}, ("a",))), place(Place({}, ("b",), fails=True)), place(Place({}, ("c",)))]
    seen: list[str] = []

    async def run() -> None:
        async for name in UserdbChain(rows).iterate():
            seen.append(name)

    with pytest.raises(Unavailable, match="server is down"):
        asyncio.run(run())
    assert seen == ["a", "b", "c"]
