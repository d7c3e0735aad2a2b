"""doveadm's side of the authentication protocols (docs/protocols/auth.md): one question at a time, blocking."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from roost.errors import Malformed, Refused, Unavailable
from roost.ipc import auth as wire
from roost.ipc.lines import escape, to_octets
from services.doveadm.arguments import Usage
from services.doveadm.peer import Peer

SERVICE = "doveadm"
ADDRESSES = ("lip", "rip", "real_lip", "real_rip")
PORTS = ("lport", "rport", "real_lport", "real_rport")
FORWARD = "forward_"
LOGIN_ID = 1  # of the one exchange on a connection


class AuthAnswer(NamedTuple):
    """How an authentication ended."""

    ok: bool
    fields: Mapping[str, str]


class Looked(NamedTuple):
    """A lookup's answer; ``user`` None: there is no such user."""

    user: str | None
    fields: Mapping[str, str]


def info_octets(words: Iterable[str]) -> bytes:
    """The parameters of ``-x key=value`` options, each with its TAB; ``service`` is always there. Raises Usage."""
    import ipaddress

    fields: dict[str, str | None] = {}
    forwarded: list[bytes] = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in ADDRESSES:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise Usage(f"-x {key}: invalid IP address: {value}") from None
        elif key in PORTS and not (value.isascii() and value.isdigit() and int(value) < 65536):
            raise Usage(f"-x {key}: invalid port: {value}")
        if key.startswith(FORWARD):
            forwarded.append(escape(to_octets(f"{key[len(FORWARD) :]}={value}")))
        elif key:
            fields[key] = value if equals else None
    if not (fields.get("service") or fields.get("protocol")):
        fields = {"service": SERVICE, **fields}
    octets = wire.fields_octets(fields)
    if forwarded:
        octets += b"\tforward_fields=" + escape(b"\t".join(forwarded))
    return octets


class LoginPeer(Peer):
    """A connection to a client or login socket, after its handshake."""

    def __init__(self, path: str, timeout_secs: float) -> None:
        """Raises Unavailable."""
        super().__init__(path, "the auth service", timeout_secs)
        self.send(wire.client_hello(os.getpid()))
        self.handshake = wire.ClientHandshake()
        try:
            while not self.handshake.done:
                self.handshake.take(self.line())
        except Malformed as error:
            raise Unavailable(f"{path} is no authentication socket: {error.detail}") from None

    def authenticate(
        self, mechanism: str, parameters: bytes, initial: bytes | None, respond: Callable[[bytes], bytes]
    ) -> AuthAnswer:
        """One exchange; ``respond`` answers challenges. Raises Refused (no such mechanism), Unavailable."""
        if mechanism not in self.handshake.mechanisms:
            known = " ".join(self.handshake.mechanisms)
            raise Refused(f"Mechanism {mechanism} is not offered (there are: {known})")
        try:
            self.send(wire.auth_line(LOGIN_ID, mechanism.encode(), parameters, initial))
            while True:
                command, _id, *arguments = self.line().split(b"\t")
                if command == b"CONT":
                    challenge = wire.decode_base64(arguments[0]) if arguments else b""
                    self.send(wire.continue_line(LOGIN_ID, respond(challenge or b"")))
                elif command in (b"OK", b"FAIL"):
                    return AuthAnswer(command == b"OK", wire.parse_fields(arguments))
        except Malformed as error:
            raise Refused(error.client_text) from None


class LookupPeer(Peer):
    """A connection to a master or userdb socket, after its handshake."""

    def __init__(self, path: str, timeout_secs: float) -> None:
        """Raises Unavailable."""
        super().__init__(path, "the auth service", timeout_secs)
        self.send(wire.VERSION_LINE)
        handshake = wire.ClientHandshake()
        try:
            while handshake.minor < 0 or not handshake.spid:
                handshake.take(self.line())
        except Malformed as error:
            raise Unavailable(f"{path} is no authentication socket: {error.detail}") from None
        self._last_id = 0

    def look_up(self, command: bytes, name: str, parameters: bytes) -> Looked:
        """``USER`` or ``PASS``. Raises Unavailable, Refused."""
        self._last_id += 1
        try:
            self.send(wire.lookup_line(command, self._last_id, name, parameters))
        except Malformed as error:
            raise Refused(error.client_text) from None
        answer, _id, *arguments = self.line().split(b"\t")
        if answer == b"NOTFOUND":
            return Looked(None, {})
        if answer != command:
            raise _failed(arguments, f"Lookup of {name} failed: see the log of the auth service")
        if command == b"PASS":
            fields = wire.parse_fields(arguments)
            return Looked(fields.pop("user", name), fields)
        return _user(arguments)

    def request(self, cookie: str) -> Looked:
        """``REQUEST``: the user of the login that this process has just made. Raises Unavailable."""
        self._last_id += 1
        pid = os.getpid()
        self.send(b"REQUEST\t%d\t%d\t%d\t%b\tsession_pid=%d\n" % (self._last_id, pid, LOGIN_ID, cookie.encode(), pid))
        answer, _id, *arguments = self.line().split(b"\t")
        if answer == b"NOTFOUND":
            return Looked(None, {})
        if answer != b"USER":
            raise _failed(arguments, "The auth service does not know the login any more: see its log")
        return _user(arguments)

    def users(self, mask: str, parameters: bytes) -> Iterator[str]:
        """Every user the mask matches. Raises Unavailable."""
        self._last_id += 1
        self.send(wire.list_line(self._last_id, mask, parameters))
        while True:
            answer, _id, *arguments = self.line().split(b"\t")
            if answer == b"LIST" and arguments:
                yield next(iter(wire.parse_fields(arguments[:1])))
            elif arguments and arguments[0] == b"fail":
                raise Unavailable("Listing users failed: see the log of the auth service")
            else:
                return

    def cache(self, command: bytes, *arguments: bytes) -> list[bytes]:
        """``CACHE-FLUSH`` or ``CACHE-STATUS``: what stands after OK and the id. Raises Unavailable."""
        self._last_id += 1
        self.send(b"\t".join([command, b"%d" % self._last_id, *arguments]) + b"\n")
        answer, *rest = self.line().split(b"\t")
        if answer != b"OK" or not rest:
            raise Unavailable("The auth service has no such command on this socket")
        return rest[1:]


def _user(arguments: list[bytes]) -> Looked:
    """The answer ``USER``."""
    return Looked(next(iter(wire.parse_fields(arguments[:1])), ""), wire.parse_fields(arguments[1:]))


def _failed(arguments: list[bytes], text: str) -> Unavailable:
    return Unavailable(wire.parse_fields(arguments).get("reason") or text)
