"""What a password database (passdb) and a user database (userdb) are: the shape of the question and of the answer.

A driver is an object with an ``async`` method ``find``. It is asked with a ``Query`` and answers with what is stored;
it never compares a password, never decides who may log in, never delays, never logs a secret. All that is the room's:
so every driver behaves the same in these respects.

Rules for a driver:

* The user's name is data. Whatever octets it has (``/``, ``..``, ``%``, quotes, spaces), it must not become a path, a
  query or a template; ``roost.settings.variables.expand_path`` makes safe paths.
* An answer belongs to one query only. Two queries interleaved on one driver share nothing.
* "I cannot say" (file unreadable, server down) is ``Unavailable``, never None: None means the user does not exist.
* ``find`` may wait for a peer, but must not block the loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Query:
    """Who asks about whom. ``parameters`` are those of the AUTH, USER or PASS line, as the client sent them."""

    user: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    mechanism: str = ""  # lower case; "" when nobody authenticates (a lookup)
    original_user: str = ""  # the name as the client wrote it
    authenticated: bool = False  # userdb: a passdb has just proved this user
    service: str = ""  # imap, lmtp, smtp …; taken from the parameters when not given

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


def _nothing(query: Query) -> str:
    return ""


VARIABLES: Mapping[str, Callable[[Query], str]] = {
    "user": _user,
    "username": _part(_user, 0),
    "domain": _part(_user, 2),
    "original_user": _original,
    "original_username": _part(_original, 0),
    "original_domain": _part(_original, 2),
    "auth_user": _user,
    "auth_username": _part(_user, 0),
    "auth_domain": _part(_user, 2),
    "login_user": _nothing,
    "login_username": _nothing,
    "login_domain": _nothing,
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
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a passdb stores about a user.

    ``password``: ``{SCHEME}data``, bare data of the passdb's default scheme, or None when none is stored (then only
    the field ``nopassword`` lets the user in). ``fields``: extra fields (``allow_nets``, ``nologin``, ``user`` …).
    """

    password: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


class Passdb(Protocol):
    """A password database. Drivers that verify passwords elsewhere (PAM, LDAP bind) are another protocol's matter."""

    async def find(self, query: Query) -> Entry | None:
        """The user's entry, None when there is no such user. Raises Unavailable."""
        ...

    def decoy(self) -> str:
        """A stored password as costly to verify as most of this database's, or "" for one of the default scheme.

        It is verified, and the result thrown away, when a user is unknown: so that the time tells nothing.
        """
        ...


class Userdb(Protocol):
    """A user database."""

    async def find(self, query: Query) -> Mapping[str, str] | None:
        """The user's fields (``home``, ``uid``, ``gid``, settings …), None when there is no such user.

        Raises Unavailable.
        """
        ...

    def iterate(self) -> AsyncIterator[str] | None:
        """Every user's name in any order; None when this database cannot tell. Raises Unavailable while iterating."""
        ...
