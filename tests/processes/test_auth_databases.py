"""Users in SQLite, PostgreSQL and LDAP, from the IMAP client's login to doveadm's list, with the real master."""

from __future__ import annotations

import imaplib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from kit import postgres, slapd
from kit.auth_room import Lines, plain
from kit.instance import Instance
from kit.wait import wait_for

NAMES = ("ann@example.org", "o'neil@example.org", "zoë@example.org")
TABLE = "CREATE TABLE users (name VARCHAR(99) PRIMARY KEY, password VARCHAR(99), quota VARCHAR(9))"
WRONG = ("wrong", "database-secre", "database-secret ")
USER_PASSWORD = "database-secret"

CONF = """
auth_username_chars =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
auth_debug = yes
userdb static {{
  result_success = continue-ok
}}
{connection}
passdb main {{
  driver = {driver}
  {worker}
  {passdb}
}}
userdb main {{
  driver = {driver}
  {worker}
  {userdb}
}}
"""

SQL_PASSDB = "sql_query = SELECT password FROM users WHERE name = '%{user}'"
SQL_USERDB = """sql_query = SELECT quota AS quota_mail_size FROM users WHERE name = '%{user}'
  sql_iterate_query = SELECT name AS user FROM users"""
LDAP_PASSDB = """ldap_bind = yes
  ldap_filter = (&(objectClass=inetOrgPerson)(uid=%{user}))
  fields {
    user = %{ldap:uid}
  }"""
LDAP_USERDB = """ldap_filter = (&(objectClass=inetOrgPerson)(uid=%{user}))
  ldap_iterate_filter = (objectClass=inetOrgPerson)
  fields {
    quota_mail_size = %{ldap:employeeType}
  }
  ldap_iterate_fields {
    user = %{ldap:uid}
  }"""


def in_sqlite(folder: Path) -> str:
    with apsw.Connection(str(folder / "users.db")) as connection:
        connection.execute(TABLE)
        for name in NAMES:
            connection.execute("INSERT INTO users VALUES (?, ?, '7M')", (name, "{PLAIN}" + USER_PASSWORD))
    connection = f"sql_driver = sqlite\nsqlite_path = {folder}/users.db\n"
    return CONF.format(connection=connection, driver="sql", worker="", passdb=SQL_PASSDB, userdb=SQL_USERDB)


def in_sqlite_by_workers(folder: Path) -> str:
    return in_sqlite(folder).replace("driver = sql\n", "driver = sql\n  use_worker = yes\n")


def in_postgresql(folder: Path) -> str:
    database = postgres.cluster().database(TABLE)
    for name in NAMES:
        values = (name, "{PLAIN}" + USER_PASSWORD)
        postgres.cluster().execute(database, "INSERT INTO users VALUES ($1, $2, '7M')", values=values)
    connection = (
        f"sql_driver = pgsql\npgsql here {{\n  host = {postgres.cluster().folder}\n  parameters {{\n"
        f"    dbname = {database}\n    user = {postgres.USER}\n    password = {postgres.PASSWORD}\n  }}\n}}\n"
    )
    return CONF.format(connection=connection, driver="sql", worker="", passdb=SQL_PASSDB, userdb=SQL_USERDB)


def in_ldap(folder: Path) -> str:
    branch = slapd.directory().branch()
    for number, name in enumerate(NAMES):
        fields = {"sn": "x", "uid": name, "userPassword": USER_PASSWORD, "employeeType": "7M"}
        slapd.directory().add(f"cn=n{number},{branch}", ["inetOrgPerson"], fields)
    connection = (
        f"ldap_uris = {slapd.directory().uri}\nldap_base = {branch}\n"
        f"ldap_auth_dn = {slapd.ADMIN}\nldap_auth_dn_password = {slapd.PASSWORD}\n"
    )
    return CONF.format(connection=connection, driver="ldap", worker="", passdb=LDAP_PASSDB, userdb=LDAP_USERDB)


def in_ldap_by_workers(folder: Path) -> str:
    return in_ldap(folder).replace("driver = ldap\n", "driver = ldap\n  use_worker = yes\n")


@contextmanager
def logged_in(roost: Instance, name: str) -> Iterator[imaplib.IMAP4]:
    context = ssl.create_default_context(cafile=str(roost.ca_file))
    with imaplib.IMAP4_SSL("localhost", roost.imaps_port, ssl_context=context, timeout=30) as imap:
        imap.authenticate("PLAIN", lambda _: f"\0{name}\0{USER_PASSWORD}".encode())
        yield imap


def doveadm(roost: Instance, *arguments: str) -> str:
    fixed = ["-c", str(roost.config_file), "-o", f"base_dir={roost.base_dir}"]
    command = [sys.executable, "-I", "-m", "services.doveadm.cli", *fixed, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.interop
@pytest.mark.parametrize(
    "write", [in_sqlite, in_sqlite_by_workers, in_postgresql, in_ldap, in_ldap_by_workers], ids=lambda one: one.__name__
)
def test_users_log_in_and_are_listed(tmp_path: Path, write: Callable[[Path], str]) -> None:
    with Instance(tmp_path, write(tmp_path)) as roost:
        for name in NAMES:
            with logged_in(roost, name) as imap:
                assert imap.select("INBOX")[0] == "OK"
        lines = Lines(str(roost.auth_socket))
        lines.send("VERSION\t1\t4\nCPID\t4711\n")
        while lines.next() != "DONE":
            pass
        for number, password in enumerate((*WRONG, "")):
            answer = lines.ask(f"AUTH\t{number + 1}\tPLAIN\tservice=smtp\tresp={plain(NAMES[0], password)}\n")
            assert answer == f"FAIL\t{number + 1}\tuser={NAMES[0]}"
        for number, name in enumerate(("x' OR '1'='1", "*", "*)(uid=*", "a%", "\\", "mallory")):
            answer = lines.ask(f"AUTH\t{number + 50}\tPLAIN\tservice=smtp\tresp={plain(name, USER_PASSWORD)}\n")
            assert answer.startswith(f"FAIL\t{number + 50}\t") and "temp_fail" not in answer
        assert sorted(doveadm(roost, "user", "*").split()) == sorted(NAMES)
        assert "7M" in doveadm(roost, "user", NAMES[1])
        text = roost.log_text()
        for secret in (USER_PASSWORD, postgres.PASSWORD, slapd.PASSWORD):
            assert secret not in text


@pytest.mark.interop
def test_a_server_that_is_away_is_a_temporary_failure(tmp_path: Path) -> None:
    with Instance(tmp_path, in_postgresql(tmp_path)) as roost:
        lines = Lines(str(roost.auth_socket))
        lines.send("VERSION\t1\t4\nCPID\t4711\n")
        while lines.next() != "DONE":
            pass
        question = f"PLAIN\tservice=smtp\tresp={plain(NAMES[0], USER_PASSWORD)}\n"
        assert lines.ask(f"AUTH\t1\t{question}").startswith("OK\t1\t")
        postgres.cluster().stop()
        assert lines.ask(f"AUTH\t2\t{question}").endswith("\tcode=temp_fail")
        postgres.cluster().start()
        numbers = iter(range(3, 10_000))
        wait_for(lambda: lines.ask(f"AUTH\t{next(numbers)}\t{question}").startswith("OK\t"), 20, "the server is back")
        assert postgres.PASSWORD not in roost.log_text()
