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

from collections.abc import AsyncIterator, Mapping
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

    @property
    def service(self) -> str:
        """imap, lmtp, smtp …"""
        return self.parameters.get("service") or self.parameters.get("protocol", "")

    def variables(self) -> dict[str, str]:
        """``%{variables}`` for paths and fields. Values are data: they are never expanded again."""
        given = self.parameters.get
        original = self.original_user or self.user
        return {
            "user": self.user,
            "username": self.user.partition("@")[0],
            "domain": self.user.partition("@")[2],
            "original_user": original,
            "original_username": original.partition("@")[0],
            "original_domain": original.partition("@")[2],
            "auth_user": self.user,
            "auth_username": self.user.partition("@")[0],
            "auth_domain": self.user.partition("@")[2],
            "login_user": "",
            "login_username": "",
            "login_domain": "",
            "service": self.service,
            "protocol": self.service,
            "mechanism": self.mechanism.upper(),
            "session": given("session", ""),
            "local_ip": given("lip", ""),
            "local_port": given("lport", ""),
            "remote_ip": given("rip", ""),
            "remote_port": given("rport", ""),
            "real_local_ip": given("real_lip") or given("lip", ""),
            "real_local_port": given("real_lport") or given("lport", ""),
            "real_remote_ip": given("real_rip") or given("rip", ""),
            "real_remote_port": given("real_rport") or given("rport", ""),
            "local_name": given("local_name", ""),
            "client_id": given("client_id", ""),
            "secured": "" if "secured" not in self.parameters else given("secured") or "secured",
            "cert": "valid" if "valid-client-cert" in self.parameters else "",
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
