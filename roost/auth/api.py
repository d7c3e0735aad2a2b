"""What a password database (passdb) and a user database (userdb) are: the shape of the question and of the answer.

A driver is an object with an ``async`` method ``find``. It is asked with a ``Query`` and answers with what is stored;
the room compares the password, decides who may log in, delays, and logs: so every driver behaves the same in these
respects. A driver whose source verifies passwords itself (PAM, an LDAP bind, a remote server) is a ``Verifier`` too.

Rules for a driver:

* The user's name is data. Whatever octets it has (``/``, ``..``, ``%``, quotes, spaces), it must not become a path, a
  query or a template; ``roost.settings.variables.expand_path`` makes safe paths.
* An answer belongs to one query only. Two queries interleaved on one driver share nothing. A query is not changed.
* "I cannot say" (file unreadable, server down) is ``Unavailable``, never None: None means the user does not exist.
* ``find`` may wait for a peer, but must not block the loop (``DriverContext.offload`` has threads).
* ``variables`` are the ``%{variables}`` that an answer depends on; a driver that does not know says None, and nothing
  of it is cached.

Drivers of others are entry points of the groups PASSDB_GROUP and USERDB_GROUP: a ``PassdbFactory`` or
``UserdbFactory``, called once for each block of the configuration with the block's ``python_settings``. It raises
``ConfigError`` when a setting makes no sense.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, TypeVar, cast

from roost.events.log import Log
from roost.util.secret import Secret

T = TypeVar("T")

PASSDB_GROUP = "roost.passdb"
USERDB_GROUP = "roost.userdb"
TOKEN_FAILURE = "token_failure"
NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Query:
    """Who asks about whom. ``parameters`` are those of the AUTH, USER or PASS line, as the client sent them.

    No password is ever in it. During the lookup of a master user (``user``), ``login_user`` is whom he wants to be;
    afterwards ``user`` is that one and ``master_user`` the one who proved himself.
    """

    user: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    mechanism: str = ""  # lower case; "" when nobody authenticates (a lookup)
    original_user: str = ""  # the name as the client wrote it
    authenticated: bool = False  # a passdb has just proved this user: only fields are asked for
    service: str = ""  # imap, lmtp, smtp …; taken from the parameters when not given
    master_user: str = ""
    login_user: str = ""
    passdb_fields: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS, repr=False)  # said by earlier passdbs
    seen_unknown: bool = False  # a database asked before did not know the user
    seen_internal: bool = False  # a database asked before could not say
    userdb_fields: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS, repr=False)  # said by earlier userdbs

    def __post_init__(self) -> None:
        if not self.service:
            self.service = self.parameters.get("service") or self.parameters.get("protocol", "")

    def variables(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """``%{variables}`` for paths and fields: all of VARIABLES, or those of ``names`` that are among them.

        Values are data: they are never expanded again.
        """
        if names is None:
            return {name: value(self) for name, value in VARIABLES.items()}
        return {name: VARIABLES[name](self) for name in names if name in VARIABLES}


def _given(*names: str) -> Callable[[Query], str]:
    """The first of these parameters that is there and not empty."""
    return lambda query: next((value for name in names if (value := query.parameters.get(name))), "")


def _part(text: Callable[[Query], str], index: int) -> Callable[[Query], str]:
    """The part before (0) or after (2) the ``@``."""
    return lambda query: text(query).partition("@")[index]


def _user(query: Query) -> str:
    return query.user


def _original(query: Query) -> str:
    return query.original_user or query.user


def _auth_user(query: Query) -> str:
    return query.master_user or query.user


def _login_user(query: Query) -> str:
    return query.login_user


def _master_user(query: Query) -> str:
    return query.master_user


VARIABLES: Mapping[str, Callable[[Query], str]] = {
    "user": _user,
    "username": _part(_user, 0),
    "domain": _part(_user, 2),
    "original_user": _original,
    "original_username": _part(_original, 0),
    "original_domain": _part(_original, 2),
    "auth_user": _auth_user,
    "auth_username": _part(_auth_user, 0),
    "auth_domain": _part(_auth_user, 2),
    "login_user": _login_user,
    "login_username": _part(_login_user, 0),
    "login_domain": _part(_login_user, 2),
    "master_user": _master_user,
    "service": lambda query: query.service,
    "protocol": lambda query: query.service,
    "mechanism": lambda query: query.mechanism.upper(),
    "session": _given("session"),
    "local_ip": _given("lip"),
    "local_port": _given("lport"),
    "remote_ip": _given("rip"),
    "remote_port": _given("rport"),
    "real_local_ip": _given("real_lip", "lip"),
    "real_local_port": _given("real_lport", "lport"),
    "real_remote_ip": _given("real_rip", "rip"),
    "real_remote_port": _given("real_rport", "rport"),
    "local_name": _given("local_name"),
    "client_id": _given("client_id"),
    "secured": lambda query: query.parameters["secured"] or "secured" if "secured" in query.parameters else "",
    "cert": lambda query: "valid" if "valid-client-cert" in query.parameters else "",
    "ssl_ja3_hash": _given("ssl_ja3_hash"),
    "ssl_client_cert_fp": _given("ssl_client_cert_fp"),
    "ssl_client_cert_pubkey_fp": _given("ssl_client_cert_pubkey_fp"),
    "domain_first": lambda query: query.user.partition("@")[2],
    "domain_last": lambda query: query.user.rpartition("@")[2] if "@" in query.user else "",
    "owner_user": _user,
    "session_pid": _given("session_pid"),
}


class Outcome(enum.Enum):
    """What a database judges by itself, beside what is stored. "I cannot say" is raised as ``Unavailable``."""

    OK = "ok"  # found; from ``verify``: and the password is right
    MISMATCH = "password_mismatch"
    UNKNOWN = "user_unknown"  # the same as None, for a database that has a reason to tell
    DISABLED = "user_disabled"  # may not log in, whatever the password; ends the whole list
    EXPIRED = "pass_expired"  # the password must be changed; ends the whole list
    NEXT = "next"  # fields only: let the next database decide
    SCHEME_NOT_AVAILABLE = "scheme_not_available"  # nothing is stored in the form that is needed


@dataclass(frozen=True, slots=True)
class Entry:
    """What a passdb says about a user.

    ``password``: ``{SCHEME}data``, bare data of the passdb's default scheme, or None when none is stored (then only
    the field ``nopassword`` lets the user in). ``fields``: extra fields (``allow_nets``, ``nologin``, ``user`` …).
    ``reason`` goes to the log beside an ``outcome`` that is not OK. ``unverified``: this answer of ``verify`` says what
    ``find`` says, for the database did not look at the password; it is for the room to compare. ``variables``: what
    only the block's ``fields { }`` may use, as ``%{provider:name}`` (``oauth2:sub``); nothing else sees it.
    """

    password: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    outcome: Outcome = Outcome.OK
    reason: str = ""
    unverified: bool = False
    variables: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS, repr=False)


class Passdb(Protocol):
    """A password database."""

    @property
    def variables(self) -> frozenset[str] | None:
        """Names of VARIABLES that an answer depends on; None: not known, and answers are never cached."""
        ...

    async def find(self, query: Query) -> Entry | None:
        """The user's entry, None when there is no such user. Raises Unavailable."""
        ...

    def decoy(self) -> str:
        """A stored password as costly to verify as most of this database's, or "" for one of the default scheme.

        It is verified, and the result thrown away, when a user is unknown: so that the time tells nothing.
        """
        ...


class Verifier(Passdb, Protocol):
    """A passdb whose source verifies passwords. ``find`` stays for lookups and for credentials."""

    @property
    def verifies(self) -> bool:
        """True: mechanisms that show the password ask ``verify``, never ``find``."""
        ...

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        """None: no such user. Otherwise ``Entry.outcome`` says what came of it. Raises Unavailable.

        An ``Entry.password`` beside the outcome OK is remembered by the cache in place of the one given.
        """
        ...


class TokenVerifier(Passdb, Protocol):
    """A passdb that verifies the tokens of OAUTHBEARER and XOAUTH2.

    It may have two attributes more, texts that clients are told whose token will not do: ``scope`` and
    ``openid_configuration``. An entry that is not OK may say in its field TOKEN_FAILURE what else than
    ``invalid_token`` is wrong: ``insufficient_scope`` or ``invalid_request``.
    """

    async def verify_token(self, query: Query, token: Secret) -> Entry | None:
        """As ``Verifier.verify``; ``Entry.reason`` says why a token was refused. Raises Unavailable."""
        ...


class PasswordStore(Passdb, Protocol):
    """A passdb that can write what it stores: for the rehash on login."""

    async def store(self, query: Query, password_text: str) -> None:
        """Replace the stored password of an existing user by ``{SCHEME}data``. Raises Unavailable, Refused."""
        ...


class Userdb(Protocol):
    """A user database."""

    @property
    def variables(self) -> frozenset[str] | None:
        """As ``Passdb.variables``."""
        ...

    async def find(self, query: Query) -> Mapping[str, str] | None:
        """The user's fields (``home``, ``uid``, ``gid``, settings …), None when there is no such user.

        Raises Unavailable.
        """
        ...

    def iterate(self) -> AsyncIterator[str] | None:
        """Every user's name in any order; None when this database cannot tell. Raises Unavailable while iterating."""
        ...


class Offload(Protocol):
    """A bounded pool of threads: ``await offload(function, *arguments)``. Raises Unavailable when too many wait."""

    def __call__(self, fn: Callable[..., T], *args: object) -> Awaitable[T]: ...


@dataclass(frozen=True)
class DriverContext:
    """What the room lends its drivers.

    ``exists`` asks the passdbs whether there is such a user (raises Unavailable); ``shared`` is for what several
    drivers of one process have in common, under a key of their own choice.
    """

    log: Log
    offload: Offload
    exists: Callable[[Query], Awaitable[bool]]
    shared: dict[str, object] = field(default_factory=dict)


PassdbFactory = Callable[[Mapping[str, str], DriverContext], Passdb]
UserdbFactory = Callable[[Mapping[str, str], DriverContext], Userdb]


def variables_of(driver: Passdb | Userdb) -> frozenset[str] | None:
    """``driver.variables``, also of a driver that does not have the attribute: None."""
    found: frozenset[str] | None = getattr(driver, "variables", None)
    return found


def verifier_of(driver: Passdb) -> Verifier | None:
    """The driver, if mechanisms that show the password are to ask its ``verify``."""
    return cast(Verifier, driver) if getattr(driver, "verifies", False) else None


def token_verifier_of(driver: Passdb) -> TokenVerifier | None:
    """The driver, if it verifies tokens."""
    return cast(TokenVerifier, driver) if hasattr(driver, "verify_token") else None


def store_of(driver: Passdb) -> PasswordStore | None:
    """The driver, if it can write."""
    return cast(PasswordStore, driver) if hasattr(driver, "store") else None
