"""The examples of docs/auth-sql-ldap.md are configurations that the drivers accept."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.docs import example

from roost.settings import load
from roost.testing.passdb import driver_context
from services.auth.passdb import PASSDBS
from services.auth.userdb import USERDBS

PAGE = "auth-sql-ldap.md"
VERSIONS = "dovecot_config_version = 2.4.2\ndovecot_storage_version = 2.4.2\n"
HEAD = "ldap_uris = ldapi://%2frun%2fx\nldap_base = dc=x\n"


@pytest.mark.parametrize(
    ("library", "heading", "lead", "head"),
    [
        ("asyncpg", "SQL", "[postgres]'`)", ""),
        ("apsw", "SQL", "SQLite", ""),
        ("ldap3", "LDAP", "by a bind as the user", ""),
        ("ldap3", "LDAP", "(SCRAM and the like need that)", HEAD),
    ],
    ids=["pgsql", "sqlite", "bind", "search"],
)
def test_an_example_is_accepted(tmp_path: Path, library: str, heading: str, lead: str, head: str) -> None:
    pytest.importorskip(library)
    path = tmp_path / "roost.conf"
    path.write_text(VERSIONS + head + example(PAGE, heading, lead))
    config = load(str(path))
    assert not config.warnings
    for passdb in config.passdbs:
        assert PASSDBS[passdb.driver or passdb.name](passdb, driver_context()).variables
    for userdb in config.userdbs:
        assert USERDBS[userdb.driver or userdb.name](userdb, driver_context()).variables
    assert config.passdbs
