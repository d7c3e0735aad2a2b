"""The rooms' client of the authentication service: logins, SASL exchanges and userdb lookups.

One ``AuthClient`` a worker process, one connection to ``auth-login`` with many requests in flight, and a second one
to ``auth-userdb`` as soon as ``user()`` is first called (LMTP). Both reconnect by themselves (``auth_link``).

A login is one round trip: the AUTH line carries the whole PLAIN response and the bare parameter ``userdb``, the OK
carries the userdb's answer as ``userdb_<field>=``. The wire form is ``docs/protocols/auth.md``.

Errors, everywhere: ``InvalidCredentials`` (unknown user and wrong password look alike), ``LoginForbidden`` (proved,
but not let in; ``code`` says why), ``AuthTemporaryFailure`` (try later).
"""

from __future__ import annotations

import asyncio
import os
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from roost.clients.auth_link import AuthLink, Pending, temporary_failure
from roost.clients.user_settings import user_settings
from roost.errors import AuthTemporaryFailure, InvalidCredentials, LoginForbidden, Malformed, RoostError
from roost.events.log import Log, sanitize
from roost.ipc import auth as wire
from roost.ipc import auth_binding
from roost.ipc.lines import MAX_LINE_OCTETS
from roost.settings.variables import expand_path
from roost.storage.api import ConnInfo, Identity
from roost.util.secret import Secret

START_WAIT_SECS = 10.0
USERDB_PREFIX = "userdb_"
KNOWN_ANSWERS = 1000  # remembered OK lines
FAILED = "Authentication failed."
_ENDED = b"\x00"  # neither a user name nor a password may hold a NUL: it separates them in PLAIN

# FAIL codes that mean "we know you, but no" → the response code of RFC 5530 and the text.
FORBIDDEN = {
    wire.AUTHZ_FAIL: ("AUTHORIZATIONFAILED", "Authorization failed."),
    wire.USER_DISABLED: ("CONTACTADMIN", "Account is disabled."),
    wire.PASS_EXPIRED: ("EXPIRED", "Password is expired."),
}


@dataclass(frozen=True, slots=True)
class AuthOk:
    """A proved login. ``fields``: the passdb's extra fields; ``identity.fields``: the userdb's."""

    user: str
    identity: Identity
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server's turn of a SASL exchange: octets for the client (base64 is the protocol's business)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BindingAsked:
    """The server asks for the data of our client's TLS connection (channel binding) of this kind."""

    kind: str


BindingData = Callable[[str], bytes | None]  # the data of one kind; None when there is none


class Exchange:
    """One SASL conversation: ``next(response)`` until an AuthOk comes or an error is raised.

    A question for channel binding data is answered in between; nobody else sees it.
    """

    __slots__ = ("_binding", "_body", "_client", "_pending")

    def __init__(self, client: AuthClient, body: bytes, binding: BindingData | None = None) -> None:
        self._client = client
        self._body = body
        self._binding = binding
        self._pending: Pending | None = None

    async def next(self, response: bytes | None = None) -> Challenge | AuthOk:
        """Send the client's turn. The first call begins the exchange and takes None (``begin`` has the initial one).

        Raises the three errors; after any of them the exchange is over.
        """
        link = self._client.login_link
        if self._pending is None:
            self._pending = link.submit(b"AUTH", self._body)
            self._body = b""
            return await self._answer(self._pending)
        try:
            line = wire.continue_line(self._pending.id, response or b"")
        except Malformed:
            self.cancel()
            raise InvalidCredentials(FAILED, detail="response is too long") from None
        link.go_on(self._pending, line)
        return await self._answer(self._pending)

    async def _answer(self, pending: Pending) -> Challenge | AuthOk:
        answer = await self._client.answer(pending)
        if not isinstance(answer, BindingAsked):
            return answer
        data = self._binding(answer.kind) if self._binding is not None else None
        self._client.login_link.go_on(pending, auth_binding.binding_line(pending.id, data or b""))
        answer = await self._client.answer(pending)
        if isinstance(answer, BindingAsked):
            self.cancel()
            raise temporary_failure("channel binding data was asked for twice")
        return answer

    def cancel(self) -> None:
        """The client gave up (IMAP ``*``) or left: the server forgets the exchange. Harmless when it has ended."""
        if self._pending is not None:
            self._client.login_link.drop(self._pending, wire.cancel_line(self._pending.id))


class AuthClient:
    """See the head of this file. All methods on the loop's thread."""

    def __init__(
        self,
        socket_path: str,
        log: Log,
        *,
        timeout_secs: float = 150,
        userdb_socket_path: str = "",
        mail_home: str = "",
        pid: int = 0,
    ) -> None:
        """``socket_path``: a login socket (``auth-login``). ``userdb_socket_path``: default ``auth-userdb`` beside it.

        ``mail_home``: template of the home folder of users whose userdb entry names none (setting ``mail_home``);
        without it their ``Identity.home`` is "". ``pid`` distinguishes this client from others of the same socket
        (default: the process id; two clients in one process need two numbers).
        """
        self.mechanisms: Mapping[str, frozenset[str]] = {}
        self._mail_home = mail_home
        self._known: dict[tuple[bytes, ...], AuthOk] = {}  # OK lines without their id, and what they say
        self._users: dict[tuple[bytes, ...], Identity] = {}  # the same of USER lines
        self._remembers = ":" not in mail_home  # a provider (%{time:…}, %{generate:…}) may answer otherwise next time
        self._handshake = wire.ClientHandshake()
        self._userdb_handshake = wire.ClientHandshake()
        self.login_link = AuthLink(
            socket_path,
            log,
            hello=wire.client_hello(pid or os.getpid()),
            greeting=self._greeting,
            reset=self._reset,
            timeout_secs=timeout_secs,
        )
        self._userdb_link = AuthLink(
            userdb_socket_path or os.path.join(os.path.dirname(socket_path), "auth-userdb"),
            log,
            hello=wire.VERSION_LINE,
            greeting=self._userdb_greeting,
            reset=self._userdb_reset,
            timeout_secs=timeout_secs,
        )
        self._log = log

    async def start(self) -> None:
        """Connect and learn the mechanisms. Without an answer in 10 s it goes on trying in the background."""
        self.login_link.start()
        if not await self.login_link.wait_ready(START_WAIT_SECS):
            self._log.error(f"auth: no answer from {self.login_link.path}; logins fail until it does")

    def close(self) -> None:
        """Close both connections; whoever waits gets AuthTemporaryFailure."""
        self.login_link.close()
        self._userdb_link.close()

    async def login(self, user: str, password: Secret, conn: ConnInfo) -> AuthOk:
        """Prove a name and password with PLAIN, in one round trip."""
        octets = user.encode("utf-8", "surrogateescape")
        secret = password.reveal()
        if _ENDED in octets or _ENDED in secret:
            raise InvalidCredentials(FAILED, detail="NUL in user name or password")
        pending = self.login_link.submit(b"AUTH", _auth_body(b"PLAIN", conn, b"\0" + octets + b"\0" + secret))
        try:
            arguments = await pending.reply
        except asyncio.CancelledError:
            self.login_link.drop(pending, wire.cancel_line(pending.id))
            raise
        answer = self._meaning(pending, arguments)
        if isinstance(answer, AuthOk):
            return answer
        self.login_link.drop(pending, wire.cancel_line(pending.id))
        raise temporary_failure("PLAIN was answered with a challenge")

    def begin(
        self, mechanism: str, conn: ConnInfo, initial: bytes | None, binding: BindingData | None = None
    ) -> Exchange:
        """A conversation by any mechanism; ``initial`` is the initial response, None when the client sent none.

        ``binding`` gives the channel binding data of the kinds in ``conn.bindings``.

        The caller offers and accepts only names in ``mechanisms``. Raises InvalidCredentials when ``initial`` is too
        long to be carried.
        """
        return Exchange(self, _auth_body(mechanism.upper().encode("ascii", "replace"), conn, initial), binding)

    async def user(self, name: str, conn: ConnInfo) -> Identity | None:
        """The userdb's answer without a login (delivery). None: no such user. Raises AuthTemporaryFailure, Refused."""
        self._userdb_link.start()
        octets = wire.field_octets(name, None)[1:]
        body = octets + _parameters(conn)
        if len(body) > MAX_LINE_OCTETS - 64:
            return None
        pending = self._userdb_link.submit(b"USER", body)
        try:
            command, _id, *arguments = await pending.reply
        except asyncio.CancelledError:
            self._userdb_link.drop(pending)
            raise
        self._userdb_link.finish(pending)
        if command == b"USER" and arguments:
            return self._user(tuple(arguments))
        if command == b"NOTFOUND":
            return None
        fields = wire.parse_fields(arguments)
        raise temporary_failure(f"userdb lookup failed: {fields.get('reason') or 'see the log of the auth service'}")

    # --- replies ---

    async def answer(self, pending: Pending) -> Challenge | AuthOk | BindingAsked:
        """Wait for the reply to what was sent last. Raises the three errors of this module."""
        try:
            arguments = await pending.reply
        except asyncio.CancelledError:
            self.login_link.drop(pending, wire.cancel_line(pending.id))
            raise
        return self._meaning(pending, arguments)

    def _meaning(self, pending: Pending, arguments: list[bytes]) -> Challenge | AuthOk | BindingAsked:
        """Of a reply. Raises the three errors."""
        command = arguments[0]
        if command == b"OK":
            self.login_link.finish(pending)
            return self._ok(arguments)
        if command == b"CONT":
            if arguments[2:3] == [auth_binding.BINDING_ASKED]:
                return BindingAsked((auth_binding.binding_field(arguments[3:]) or b"").decode("ascii", "replace"))
            data = wire.decode_base64(arguments[2]) if len(arguments) > 2 else b""
            if data is not None:
                return Challenge(data)
            self.login_link.drop(pending, wire.cancel_line(pending.id))
            raise temporary_failure("undecodable challenge")
        self.login_link.finish(pending)
        raise failure(wire.parse_fields(arguments[2:]))

    def _ok(self, arguments: list[bytes]) -> AuthOk:
        """The same answer means the same user: clients that log in every minute are not worked out every minute."""
        answer = tuple(arguments[2:])
        known = self._known.get(answer)
        if known is None:
            known = self._read_ok(arguments)
            if self._remembers and not any(field.startswith(b"resp=") for field in answer):
                if len(self._known) >= KNOWN_ANSWERS:
                    self._known.clear()
                self._known[answer] = known
        return known

    def _user(self, answer: tuple[bytes, ...]) -> Identity:
        known = self._users.get(answer)
        if known is None:
            known = self._identity(next(iter(wire.parse_fields(answer[:1]))), wire.parse_fields(answer[1:]))
            if self._remembers:
                if len(self._users) >= KNOWN_ANSWERS:
                    self._users.clear()
                self._users[answer] = known
        return known

    def _read_ok(self, arguments: list[bytes]) -> AuthOk:
        fields: dict[str, str] = {}
        userdb: dict[str, str] = {}
        for key, value in wire.parse_fields(arguments[2:]).items():
            if key.startswith(USERDB_PREFIX):
                userdb[key[7:]] = value
            else:
                fields[key] = value
        user = userdb.get("user") or fields.get("user", "")
        if not user:
            raise temporary_failure("OK without a user name")
        if "nologin" in fields:
            reason = fields.get("reason") or "Login is not allowed."
            raise LoginForbidden(reason, code="CONTACTADMIN", detail=f"nologin for {user!r}")
        return AuthOk(user, self._identity(user, userdb), MappingProxyType(fields))

    def _identity(self, user: str, fields: dict[str, str]) -> Identity:
        home = fields.get("home", "")
        if not home and self._mail_home:
            home = expand_path(self._mail_home, {**fields, "user": user})
        if home and not home.startswith("/"):
            raise temporary_failure(f"home of {user!r} is not an absolute path: {home!r}")
        try:
            settings = user_settings(user, fields)
        except AuthTemporaryFailure as error:
            self._log.error(f"auth: {sanitize(error.detail)}")
            raise
        return Identity(user, home, MappingProxyType(fields), settings)

    # --- handshakes ---

    def _reset(self) -> None:
        self._handshake = wire.ClientHandshake()

    def _greeting(self, line: bytes) -> bool:
        self._handshake.take(line)
        if self._handshake.done:
            self.mechanisms = self._handshake.mechanisms
        return self._handshake.done

    def _userdb_reset(self) -> None:
        self._userdb_handshake = wire.ClientHandshake()

    def _userdb_greeting(self, line: bytes) -> bool:
        self._userdb_handshake.take(line)
        return self._userdb_handshake.minor >= 0 and self._userdb_handshake.spid > 0


def failure(fields: Mapping[str, str]) -> RoostError:
    """The error that FAIL's fields stand for."""
    code = fields.get("code", "")
    reason = fields.get("reason", "")
    if code == wire.TEMP_FAIL or "temp" in fields:
        return AuthTemporaryFailure(reason or "Temporary authentication failure.", detail="auth service: temp_fail")
    if code in FORBIDDEN:
        response_code, text = FORBIDDEN[code]
        return LoginForbidden(reason or text, code=response_code, detail=f"auth service: {code}")
    return InvalidCredentials(reason or FAILED, detail=code)


def _parameters(conn: ConnInfo) -> bytes:
    known = wire.connection_parameters(
        service=conn.service,
        session=conn.session_id,
        local_ip=conn.local_ip,
        local_port=conn.local_port,
        remote_ip=conn.remote_ip,
        remote_port=conn.remote_port,
        secured="yes" if conn.secured else "",
    )
    if conn.trusted:
        known += b"\tno-penalty"
    if conn.certificate:
        known += b"".join(wire.field_octets(key, value or None) for key, value in conn.certificate.items())
    return known


def _auth_body(mechanism: bytes, conn: ConnInfo, initial: bytes | None) -> bytes:
    """Everything of AUTH after its id."""
    body = mechanism + _parameters(conn) + b"\t" + wire.USERDB_PARAMETER
    if conn.bindings and mechanism.startswith(b"SCRAM-"):
        body += wire.field_octets(auth_binding.BINDING_KINDS_PARAMETER.decode(), ",".join(conn.bindings))
    if initial is not None:
        body += b"\tresp=" + (b2a_base64(initial, newline=False) or b"=")
    if len(body) > MAX_LINE_OCTETS - 32:
        raise InvalidCredentials(FAILED, detail="authentication data is too long for the protocol")
    return body
