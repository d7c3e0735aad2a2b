"""Every userdb driver against the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kit import lua_users

from roost.auth.api import Userdb
from roost.settings.schema.auth import UserdbSettings
from roost.testing.passdb import driver_context
from roost.testing.userdb import Place, UserdbSuite
from services.auth.userdb import USERDBS


def write_users(path: Path, users: Sequence[Place]) -> None:
    lines = []
    for user in users:
        own = {name: user.fields.get(name, "") for name in ("uid", "gid", "home")}
        extra = " ".join(f"userdb_{name}={value}" for name, value in user.fields.items() if name not in own)
        lines.append(f"{user.name}:x:{own['uid']}:{own['gid']}::{own['home']}::{extra}")
    path.write_text("\n".join(lines))


class TestPasswdFile(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        write_users(tmp_path / "users", users)
        return USERDBS["passwd-file"](UserdbSettings(passwd_file_path=str(tmp_path / "users")), driver_context())

    def break_source(self, tmp_path: Path) -> None:
        (tmp_path / "users").unlink()
        (tmp_path / "users").mkdir()

    def change(self, tmp_path: Path, users: Sequence[Place]) -> None:
        write_users(tmp_path / "users", users)


class TestPasswdFilePerUser(UserdbSuite):
    iterates = False

    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        (tmp_path / "users").mkdir()
        self.change(tmp_path, users)
        return USERDBS["passwd-file"](UserdbSettings(passwd_file_path=f"{tmp_path}/users/%{{user}}"), driver_context())

    def change(self, tmp_path: Path, users: Sequence[Place]) -> None:
        for path in (tmp_path / "users").iterdir():
            path.unlink()
        for user in users:
            write_users(tmp_path / "users" / user.name, [user])


class TestLua(UserdbSuite):
    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        settings = lua_users.write(tmp_path, {user.name: user.fields for user in users})
        return USERDBS["lua"](UserdbSettings(name="lua", **settings), driver_context())

    def break_source(self, tmp_path: Path) -> None:
        lua_users.broken(tmp_path)

    def change(self, tmp_path: Path, users: Sequence[Place]) -> None:
        lua_users.change(tmp_path, {user.name: user.fields for user in users})


class TestStatic(UserdbSuite):
    """The fields are in the block, which the chain expands: the driver itself gives none."""

    everybody = True
    iterates = False

    def make(self, tmp_path: Path, users: Sequence[Place]) -> Userdb:
        return USERDBS["static"](UserdbSettings(static_allow_all_users=True), driver_context())

    def test_a_known_user_has_his_fields(self, tmp_path: Path) -> None:
        (fields,) = self.ask(self.make(tmp_path, ()), "alice")
        assert fields == {}
