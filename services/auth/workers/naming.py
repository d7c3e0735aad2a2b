"""What both sides call a database, a configuration and a question: digests of blocks, and a ``Query`` as arguments."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from roost.auth.api import Query
from roost.settings.schema.auth import PassdbSettings, UserdbSettings

PARAMETER, FIELD, USERDB_FIELD = "param_", "passdb_", "userdb_"
VARIABLE = "variable:"  # in front of names of ``Entry.variables`` among a reply's fields
LOCAL_DRIVERS = frozenset({"prefetch", "deny"})  # they say nothing that is not known already
WORKER_DRIVERS = frozenset({"lua", "pam", "passwd"})  # their libraries, or their scripts, block


class Databases(Protocol):
    """What is read of the configuration."""

    def passdbs_of(self, protocol: str) -> Iterable[PassdbSettings]: ...

    def userdbs_of(self, protocol: str) -> Iterable[UserdbSettings]: ...


def uses_worker(settings: PassdbSettings | UserdbSettings) -> bool:
    """Whether this block's database is asked in a worker."""
    driver = settings.driver or settings.name
    if driver in LOCAL_DRIVERS:
        return False
    if settings.use_worker != "auto":
        return settings.use_worker == "yes"
    asked_for = driver == "oauth2" and isinstance(settings, PassdbSettings) and settings.oauth2_use_worker_with_mech
    return asked_for or driver in WORKER_DRIVERS


def database_id(settings: PassdbSettings | UserdbSettings) -> str:
    """The block's name between the two sides: equal blocks, and no others, have the same."""
    digest = hashlib.sha256(type(settings).__name__.encode())
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Mapping):
            value = sorted(value.items())
        digest.update(f"\0{field.name}={value!r}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def hashes(config: Databases) -> tuple[str, str]:
    """Of all passdbs and of all userdbs outside ``protocol`` blocks, and of the scripts' texts, for DBHASH."""
    scripts: Mapping[str, str] = getattr(config, "scripts", {})
    texts = [f"{path}={digest}" for path, digest in sorted(scripts.items())]
    return _joined(config.passdbs_of(""), texts), _joined(config.userdbs_of(""), texts)


def _joined(blocks: Iterable[PassdbSettings] | Iterable[UserdbSettings], texts: list[str]) -> str:
    parts = [*(database_id(block) for block in blocks), *texts]
    return hashlib.sha256(" ".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def arguments_of(query: Query) -> dict[str, str]:
    """A question as the protocol's arguments. Only what is not empty; no password is ever in a Query."""
    given = {"user": query.user}
    for name, text in (
        ("service", query.service),
        ("mech", query.mechanism),
        ("original-user", query.original_user),
        ("master-user", query.master_user),
        ("login-user", query.login_user),
        ("authenticated", "yes" if query.authenticated else ""),
        ("seen-unknown", "yes" if query.seen_unknown else ""),
        ("seen-internal", "yes" if query.seen_internal else ""),
    ):
        if text:
            given[name] = text
    for name, text in query.parameters.items():
        given[PARAMETER + name] = text
    for name, text in query.passdb_fields.items():
        given[FIELD + name] = text
    for name, text in query.userdb_fields.items():
        given[USERDB_FIELD + name] = text
    return given


def query_of(arguments: Mapping[str, str]) -> Query:
    """The inverse of ``arguments_of``."""
    parameters: dict[str, str] = {}
    fields: dict[str, str] = {}
    userdb_fields: dict[str, str] = {}
    for name, text in arguments.items():
        if name.startswith(PARAMETER):
            parameters[name[len(PARAMETER) :]] = text
        elif name.startswith(FIELD):
            fields[name[len(FIELD) :]] = text
        elif name.startswith(USERDB_FIELD):
            userdb_fields[name[len(USERDB_FIELD) :]] = text
    return Query(
        arguments.get("user", ""),
        parameters,
        arguments.get("mech", ""),
        arguments.get("original-user", ""),
        "authenticated" in arguments,
        arguments.get("service", ""),
        arguments.get("master-user", ""),
        arguments.get("login-user", ""),
        fields,
        "seen-unknown" in arguments,
        "seen-internal" in arguments,
        userdb_fields,
    )
