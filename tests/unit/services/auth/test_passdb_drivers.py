"""Every passdb driver against the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kit import lua_users

from roost.auth.api import Passdb
from roost.settings.schema.auth import PassdbSettings
from roost.testing.passdb import PassdbSuite, StoredUser, driver_context
from services.auth.passdb import PASSDBS


def write_users(path: Path, users: Sequence[StoredUser]) -> None:
    lines = []
    for user in users:
        extra = " ".join(f"{key}={value}" for key, value in user.fields.items())
        lines.append(f"{user.name}:{user.password}::::::{extra}")
    path.write_text("\n".join(["# users", "", *lines, ""]))


class TestPasswdFile(PassdbSuite):
    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        write_users(tmp_path / "users", users)
        return PASSDBS["passwd-file"](PassdbSettings(passwd_file_path=str(tmp_path / "users")), driver_context())

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "users").unlink()
        (tmp_path / "users").mkdir()

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        write_users(tmp_path / "users", users)


class TestPasswdFilePerDomain(PassdbSuite):
    """One file for each user: the name is part of the path."""

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        (tmp_path / "users").mkdir()
        (tmp_path / "alice").write_text("../alice:{PLAIN}outside\nalice:{PLAIN}outside\n")
        for user in users:
            write_users(tmp_path / "users" / user.name, [user])
        return PASSDBS["passwd-file"](PassdbSettings(passwd_file_path=f"{tmp_path}/users/%{{user}}"), driver_context())

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        for path in (tmp_path / "users").iterdir():
            path.unlink()
        for user in users:
            write_users(tmp_path / "users" / user.name, [user])


class TestStatic(PassdbSuite):
    everybody = True
    fields = False

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        return PASSDBS["static"](PassdbSettings(static_password=users[0].password), driver_context())


class TestLua(PassdbSuite):
    verifying = False

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        settings = lua_users.write(tmp_path, _tables(users), verifies=self.verifying)
        return PASSDBS["lua"](PassdbSettings(name="lua", **settings), driver_context())

    def break_source(self, tmp_path: Path) -> None:
        lua_users.broken(tmp_path)

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        lua_users.change(tmp_path, _tables(users))


class TestLuaThatVerifies(TestLua):
    verifying = True


def _tables(users: Sequence[StoredUser]) -> dict[str, dict[str, str]]:
    return {user.name: {"password": user.password, **user.fields} for user in users}


ELSEWHERE = {
    "ldap": "test_ldap.py",
    "pam": "test_system_drivers.py",
    "passwd": "test_system_drivers.py",
    "sql": "test_sql_pgsql.py",
}
BY_PEERS = {"imap", "oauth2"}  # what they answer is another server's doing: tests of their own


def test_every_driver_is_held_to_the_suite() -> None:
    assert set(PASSDBS) - BY_PEERS - set(ELSEWHERE) == {"deny", "lua", "passwd-file", "static"}
    for name in ELSEWHERE.values():
        assert "PassdbSuite)" in (Path(__file__).parent / name).read_text(), name
