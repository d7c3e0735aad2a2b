"""The example of a passdb and a userdb of one's own: found by its entry points, held to the suites, in a real room."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from roost.auth.api import PASSDB_GROUP, USERDB_GROUP, Passdb, Userdb
from roost.errors import ConfigError
from roost.testing.passdb import PassdbSuite, StoredUser, driver_context
from roost.testing.userdb import Place, UserdbSuite
from services.auth.installed import installed
from services.auth.passdb import PASSDBS
from services.auth.userdb import USERDBS

EXAMPLE = Path(__file__).resolve().parents[4] / "docs" / "examples" / "json_users"
POINTS = """[roost.passdb]
json-users = json_users:make_passdb
[roost.userdb]
json-users = json_users:make_userdb
"""


@pytest.fixture(autouse=True)
def as_if_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "json_users", raising=False)


def install(folder: Path) -> None:
    info = folder / "roost_json_users-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roost-json-users\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(POINTS)


def made(group: str, tmp_path: Path) -> object:
    kind, names = ("passdb", PASSDBS) if group == PASSDB_GROUP else ("userdb", USERDBS)
    return installed(group, kind, "json-users", list(names), key="k")({"path": f"{tmp_path}/u.json"}, driver_context())


class TestPassdb(PassdbSuite):
    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        self.change(tmp_path, users)
        driver: Passdb = made(PASSDB_GROUP, tmp_path)  # type: ignore[assignment]  # what an entry point promises
        return driver

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "u.json").write_text("{")

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        (tmp_path / "u.json").write_text(
            json.dumps({one.name: {"password": one.password, **one.fields} for one in users})
        )


class TestUserdb(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        self.change(tmp_path, users)
        driver: Userdb = made(USERDB_GROUP, tmp_path)  # type: ignore[assignment]  # what an entry point promises
        return driver

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "u.json").unlink()

    def change(self, tmp_path: Path, users: Sequence[Place]) -> None:
        stored = {one.name: {"password": "{PLAIN}x", **one.fields} for one in users}
        (tmp_path / "u.json").write_text(json.dumps(stored))


def test_a_setting_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="json-users: json-users needs python_settings"):
        installed(PASSDB_GROUP, "passdb", "json-users", (), key="k")({}, driver_context())
