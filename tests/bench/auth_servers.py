"""The servers whose authentication is measured: no protocols, one configuration for each kind of database."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import sqlite3
import sys
from pathlib import Path

from tests.bench import auth_lines
from tests.bench.servers import DOVECOT, Server

SCRIPT = """
function auth_passdb_lookup(req)
  return dovecot.auth.PASSDB_RESULT_OK, "password={PLAIN}pw"
end
"""
LUA_MODULES = ("/usr/lib/dovecot/modules/auth/libauthdb_lua.so", "/usr/lib/dovecot/modules/auth/lib21_auth_lua.so")
ROOST_PASSDBS = {
    "passwd-file": "passdb passwd-file {{\n passwd_file_path = {users}\n}}",
    "sqlite": (
        "passdb sql {{\n sql_driver = sqlite\n sqlite_path = {folder}/users.db\n"
        " sql_query = SELECT password FROM users WHERE name = '%{{user}}'\n}}"
    ),
    "jwt": (
        "auth_mechanisms = plain oauthbearer\n"
        "oauth2 {{\n introspection_mode = local\n username_attribute = preferred_username\n scope = mail\n"
        " oauth2_local_validation {{\n  dict file {{\n   path = {folder}/keys\n  }}\n }}\n}}\n"
        "passdb oauth2 {{\n mechanisms_filter = oauthbearer\n}}\npassdb passwd-file {{\n passwd_file_path = {users}\n}}"
    ),
    "lua-inside": "passdb lua {{\n lua_file = {folder}/bench.lua\n use_worker = no\n}}",
    "lua-worker": "passdb lua {{\n lua_file = {folder}/bench.lua\n}}",
}
ROOST_PASSDBS["sqlite-cached"] = "auth_cache_size = 10M\n" + ROOST_PASSDBS["sqlite"]
DOVECOT_PASSDBS = {
    "passwd-file": "driver = passwd-file\n args = {users}",
    "lua-inside": "driver = lua\n args = file={folder}/bench.lua blocking=no",
    "lua-worker": "driver = lua\n args = file={folder}/bench.lua blocking=yes",
}


def write_users(path: Path) -> None:
    """Three kinds: u1 … in plain, h1 … as SSHA512, s1 … for SCRAM."""
    kinds = {"u": "{PLAIN}pw", "h": auth_lines.ssha512_stored(), "s": auth_lines.scram_stored()}
    rows = (f"{letter}{n}:{text}:\n" for letter, text in kinds.items() for n in range(1, auth_lines.USERS + 1))
    path.write_text("".join(rows))


class AuthServer(Server):
    """``variant``: a key of the tables above."""

    def __init__(self, folder: Path, variant: str) -> None:
        super().__init__(folder)
        self.variant = variant
        self.users = self.folder / "users"
        write_users(self.users)
        (self.folder / "bench.lua").write_text(SCRIPT)

    @classmethod
    def can(cls, variant: str) -> bool:
        raise AssertionError

    def socket(self, *, login: bool) -> str:
        return str(self.folder / "run" / ("auth-login" if login else "auth-client"))

    def last_words(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-1000:]
        return ""

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(10)
            probe.connect(self.socket(login=False))
            return probe.recv(100).startswith(b"VERSION")


class RoostAuth(AuthServer):
    name = "roost"

    @classmethod
    def can(cls, variant: str) -> bool:
        return variant in ROOST_PASSDBS

    def command(self) -> list[str]:
        if self.variant == "jwt":
            from kit import tokens

            tokens.local(self.folder)
        if self.variant.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.folder / "users.db")) as database, database:
                database.execute("CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT) WITHOUT ROWID")
                rows = [(f"u{n}", "{PLAIN}pw") for n in range(1, auth_lines.USERS + 1)]
                database.executemany("INSERT INTO users VALUES (?, ?)", rows)
        owner = pwd.getpwuid(os.getuid()).pw_name
        mechanisms = "" if self.variant == "jwt" else "auth_mechanisms = plain scram-sha-256\n"
        if self.variant.startswith("lua"):
            mechanisms = "auth_mechanisms = plain\n"
        conf = self.folder / "roost.conf"
        conf.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols =
default_internal_user = {owner}
default_internal_group = {owner}
mail_home = {self.folder}/mail/%{{user}}
{mechanisms}{ROOST_PASSDBS[self.variant].format(folder=self.folder, users=self.users)}
userdb static {{
}}
""")
        return [sys.executable, "-I", "-m", "master", "-F", "-c", str(conf)]


class DovecotAuth(AuthServer):
    name = "dovecot"

    @classmethod
    def can(cls, variant: str) -> bool:
        if variant.startswith("lua"):
            return any(os.path.exists(path) for path in LUA_MODULES)
        return variant in DOVECOT_PASSDBS

    def command(self) -> list[str]:
        for folder in (self.folder, *self.folder.parents[:2]):
            with contextlib.suppress(OSError):
                folder.chmod(folder.stat().st_mode | 0o755)
        mechanisms = "plain" if self.variant.startswith("lua") else "plain scram-sha-256"
        conf = self.folder / "dovecot.conf"
        conf.write_text(f"""
instance_name = roost-bench
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols =
ssl = no
auth_mechanisms = {mechanisms}
first_valid_uid = 1
passdb {{
 {DOVECOT_PASSDBS[self.variant].format(folder=self.folder, users=self.users)}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={self.folder}/mail/%u allow_all_users=yes
}}
""")
        return [DOVECOT, "-F", "-c", str(conf)]
