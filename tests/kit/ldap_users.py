"""Users in a branch of the private LDAP server (``kit.slapd``), and the drivers that look there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from kit.slapd import ADMIN, PASSWORD, directory

from roost.auth.api import Outcome, Passdb, Query, Userdb, verifier_of
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.testing.passdb import (
    DriverContext,
    StoredUser,
    driver_context,
)
from roost.util.secret import Secret
from services.auth.passdb import PASSDBS
from services.auth.userdb import USERDBS

PERSON = ("inetOrgPerson", "posixAccount")
FILTER = "(&(objectClass=posixAccount)(uid=%{user}))"
FIELDS = {
    "password": "%{ldap:userPassword}",
    "allow_nets": "%{ldap:roomNumber}",
    "userdb_quota": "%{ldap:employeeType}",
}


def add(branch: str, number: int, name: str, **more: Any) -> str:
    dn = f"cn=n{number},{branch}"
    fields = {"sn": "x", "uid": name.encode(), "uidNumber": 1000 + number, "gidNumber": 100, "homeDirectory": "/h"}
    given = {key: value for key, value in {**fields, **more}.items() if value is not None}
    directory().add(dn, PERSON, given)
    return dn


def fill(branch: str, users: Sequence[StoredUser]) -> None:
    directory().empty(branch)
    for number, user in enumerate(users):
        more = {"roomNumber": user.fields.get("allow_nets"), "employeeType": user.fields.get("userdb_quota")}
        add(branch, number, user.name, userPassword=user.password.removeprefix("{PLAIN}"), **more)


def connection(branch: str, **more: Any) -> dict[str, Any]:
    return {
        "ldap_uris": directory().uri,
        "ldap_base": branch,
        "ldap_auth_dn": ADMIN,
        "ldap_auth_dn_password": PASSWORD,
        **more,
    }


def passdb(branch: str, *, context: DriverContext | None = None, **more: Any) -> Passdb:
    more = {"ldap_filter": FILTER, **connection(branch), **more}
    return PASSDBS["ldap"](PassdbSettings(name="ldap", **more), context or driver_context())


def binding(branch: str, **more: Any) -> Passdb:
    return passdb(branch, ldap_bind=True, **more)


def find(driver: Passdb | Userdb, name: str) -> Any:
    return asyncio.run(driver.find(Query(name)))  # type: ignore[arg-type]  # of either


def verify(driver: Passdb, name: str, password: bytes) -> Outcome | None:
    verifier = verifier_of(driver)
    assert verifier is not None
    entry = asyncio.run(verifier.verify(Query(name), Secret(password)))
    return None if entry is None else entry.outcome


def userdb(branch: str, **more: Any) -> Userdb:
    listing = {"ldap_iterate_filter": "(objectClass=posixAccount)", "ldap_iterate_fields": {"user": "%{ldap:uid}"}}
    made = UserdbSettings(name="ldap", **{"ldap_filter": FILTER, **listing, **connection(branch), **more})
    return USERDBS["ldap"](made, driver_context())
