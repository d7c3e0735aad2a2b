"""The authentication protocols as lines: Dovecot's auth client protocol 1.4 and auth master protocol 1.4.

Three peers use this file: the auth room (server side of both), ``roost.clients.auth`` and doveadm (client side).
No I/O, no clock, no entropy here; ``docs/protocols/auth.md`` is the page to read beside it. The framing (TAB, LF,
``\\x01`` escapes, 16 KiB a line) is ``roost.ipc.lines``.

Texts are ``str`` with undecodable octets as lone surrogates, so any octets survive; SASL data is ``bytes``.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from roost.errors import Malformed
from roost.ipc.lines import MAX_LINE_OCTETS, escape, to_octets, to_text, unescape

MAJOR, MINOR = 1, 4
MAX_MINOR_DIGITS = 9
MINOR_EMPTY_INITIAL = 2  # from this minor on, an empty resp= is an empty response and not "none"
MINOR_CHANNEL_BINDING = 3
MINOR_CANCELLED = 4  # from this minor on CANCEL is answered
MAX_ID = 2**32 - 1
VERSION_LINE = b"VERSION\t%d\t%d\n" % (MAJOR, MINOR)

# Flags of a mechanism in the order the MECH line shows them.
MECHANISM_FLAGS = (
    "private",
    "anonymous",
    "plaintext",
    "dictionary",
    "active",
    "forward-secrecy",
    "mutual-auth",
    "channel-binding",
)

# Every word that begins a line of one of the two protocols.
COMMANDS = frozenset(
    (
        *(b"VERSION", b"CPID", b"MECH", b"SPID", b"CUID", b"COOKIE", b"DONE"),
        *(b"AUTH", b"CONT", b"CANCEL", b"CANCELLED", b"OK", b"FAIL"),
        *(b"USER", b"PASS", b"LIST", b"REQUEST", b"NOTFOUND", b"CACHE-FLUSH", b"CACHE-STATUS"),
    )
)

# FAIL codes.
TEMP_FAIL = "temp_fail"
AUTHZ_FAIL = "authz_fail"
USER_DISABLED = "user_disabled"
PASS_EXPIRED = "pass_expired"
INVALID_BASE64 = "invalid_base64"

FINAL_RESPONSE_PARAMETER = b"final-resp-ok"  # bare parameter of AUTH: OK may carry the server's last words
USERDB_PARAMETER = b"userdb"  # ours: bare parameter of AUTH on a login socket; OK then carries userdb_<field>=


# --- both sides ---------------------------------------------------------------------------------------------------


def parse_id(octets: bytes) -> int:
    """A request id: 1 … 2**32-1. Raises Malformed."""
    if not octets.isdigit() or len(octets) > 10 or not 0 < (value := int(octets)) <= MAX_ID:
        raise Malformed("Invalid request ID.", detail="the ID is no number from 1 to 4294967295")
    return value


def shown_command(command: bytes) -> str:
    """A command's name for the log: only if it is one of ours. Anything else may be a misplaced secret."""
    return command.decode() if command in COMMANDS else f"something of {len(command)} octets"


def parse_version(arguments: Sequence[bytes]) -> int:
    """The minor version out of the arguments of VERSION. Raises Malformed when the major one differs."""
    if (
        len(arguments) < 2
        or not (arguments[0].isdigit() and arguments[1].isdigit())
        or len(arguments[1]) > MAX_MINOR_DIGITS
    ):
        raise Malformed("Invalid VERSION.", detail="VERSION needs two numbers")
    if arguments[0] != b"%d" % MAJOR:
        raise Malformed("Incompatible version.", detail=f"we speak major version {MAJOR}")
    return int(arguments[1])


def field_octets(key: str, value: str | None) -> bytes:
    """``⇥key=value`` or, for None, the bare ``⇥key``."""
    name = key.encode("utf-8", "surrogateescape")
    if value is None:
        return b"\t" + escape(name)
    return b"\t" + escape(name + b"=" + value.encode("utf-8", "surrogateescape"))


def fields_octets(fields: Mapping[str, str | None]) -> bytes:
    """All fields of a reply, each with its leading TAB."""
    shown = []
    for key, value in fields.items():
        text = key if value is None else f"{key}={value}"
        # Control characters are not printable; so most fields need neither search nor replacement.
        shown.append("\t" + (text if text.isprintable() else _escaped(text)))
    return "".join(shown).encode("utf-8", "surrogateescape")


def parse_fields(arguments: Iterable[bytes]) -> dict[str, str]:
    """``key=value`` arguments as a mapping; a bare ``key`` maps to "" like ``key=`` does. Later keys win."""
    fields: dict[str, str] = {}
    text = b"\t".join(arguments).decode("utf-8", "surrogateescape")
    if not text:
        return fields
    escaped = "\x01" in text
    for argument in text.split("\t"):
        if escaped:
            argument = to_text(unescape(to_octets(argument)))
        key, _, value = argument.partition("=")
        fields[key] = value
    return fields


class Parameters(Mapping[str, str]):
    """The parameters of one line, taken apart when somebody asks for one; most requests need hardly any.

    Like ``parse_fields``: a bare ``key`` maps to "", later keys win.
    """

    __slots__ = ("_arguments", "_fields", "more", "service")

    def __init__(self, arguments: list[bytes]) -> None:
        self._arguments = arguments
        self._fields: dict[str, str] | None = None
        self.service = ""  # service or protocol
        self.more: Mapping[str, str] = {}  # what the connection says; set before the first look
        for argument in arguments:
            if argument.startswith((b"service=", b"protocol=")):
                self.service = _service(argument)
                break

    def bare(self, name: bytes) -> bool:
        """Whether the bare parameter is there."""
        return name in self._arguments

    def fields(self) -> dict[str, str]:
        found = self._fields
        if found is None:
            found = self._fields = {**parse_fields(self._arguments), **self.more}
        return found

    def __getitem__(self, key: str) -> str:
        return self.fields()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields())

    def __len__(self) -> int:
        return len(self.fields())


@lru_cache(maxsize=64)
def _service(argument: bytes) -> str:
    return next(iter(parse_fields([argument]).values()))


def decode_base64(octets: bytes) -> bytes | None:
    """Strict base64; None when it is none."""
    if len(octets) % 4:  # the decoder lets a pad sign too many pass
        return None
    try:
        return binascii.a2b_base64(octets, strict_mode=True)
    except ValueError:
        return None


def encode_base64(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)


# --- the client's side --------------------------------------------------------------------------------------------


def client_hello(pid: int) -> bytes:
    """What a client sends right after connecting; it need not wait for the server's VERSION."""
    return VERSION_LINE + b"CPID\t%d\n" % pid


class ClientHandshake:
    """What the server tells before DONE, in any order."""

    __slots__ = ("cookie", "cuid", "done", "mechanisms", "minor", "spid")

    def __init__(self) -> None:
        self.mechanisms: dict[str, frozenset[str]] = {}
        self.minor = -1
        self.spid = 0
        self.cuid = 0
        self.cookie = ""
        self.done = False

    def take(self, line: bytes) -> None:
        """One line of the greeting. Raises Malformed if this is no auth server we can speak to."""
        command, *arguments = line.split(b"\t")
        if command == b"VERSION":
            self.minor = parse_version(arguments)
        elif command == b"MECH" and arguments:
            name, *flags = (unescape(argument).decode("ascii", "replace") for argument in arguments)
            self.mechanisms[name.upper()] = frozenset(flags)
        elif command == b"SPID" and arguments:
            self.spid = parse_id(arguments[0])
        elif command == b"CUID" and arguments:
            self.cuid = parse_id(arguments[0])
        elif command == b"COOKIE" and arguments:
            self.cookie = arguments[0].decode("ascii", "replace")
        elif command == b"DONE":
            if self.minor < 0:
                raise Malformed("Not an authentication server.", detail="DONE before VERSION")
            self.done = True


def connection_parameters(
    *,
    service: str,
    session: str = "",
    local_ip: str = "",
    local_port: int = 0,
    remote_ip: str = "",
    remote_port: int = 0,
    secured: str = "",
) -> bytes:
    """Parameters of AUTH, USER and PASS that say who asks, each with its leading TAB.

    ``secured`` is "", "yes" (trusted local transport) or "tls". ``service=`` and not ``protocol=``: every version of
    the protocol understands it.
    """
    if not f"{service}{session}{local_ip}{remote_ip}".isprintable():
        service, session, local_ip, remote_ip = map(_escaped, (service, session, local_ip, remote_ip))
    if session and local_ip and remote_ip and local_port and remote_port and not secured:  # what most have
        text = f"\tservice={service}\tsession={session}\tlip={local_ip}\trip={remote_ip}"
        return f"{text}\tlport={local_port}\trport={remote_port}".encode("utf-8", "surrogateescape")
    text = f"\tservice={service}"
    if secured:
        text += "\tsecured=tls" if secured == "tls" else "\tsecured"
    if session:
        text += f"\tsession={session}"
    if local_ip:
        text += f"\tlip={local_ip}"
    if remote_ip:
        text += f"\trip={remote_ip}"
    if local_port:
        text += f"\tlport={local_port}"
    if remote_port:
        text += f"\trport={remote_port}"
    return text.encode("utf-8", "surrogateescape")


def _escaped(text: str) -> str:
    return to_text(escape(to_octets(text)))


def auth_line(request_id: int, mechanism: bytes, parameters: bytes, initial: bytes | None) -> bytes:
    """``AUTH``; ``parameters`` begin with their TAB. ``initial`` None: the mechanism starts with a challenge.

    Raises Malformed when the line would be longer than the server accepts.
    """
    if initial is None:
        line = b"AUTH\t%d\t%b%b\n" % (request_id, mechanism, parameters)
    else:
        response = binascii.b2a_base64(initial, newline=False) or b"="
        line = b"AUTH\t%d\t%b%b\tresp=%b\n" % (request_id, mechanism, parameters, response)
    if len(line) > MAX_LINE_OCTETS:
        raise Malformed("Authentication request is too long.", detail=f"{len(line)} octets")
    return line


def continue_line(request_id: int, data: bytes) -> bytes:
    """``CONT`` in either direction. Raises Malformed when it would be too long."""
    line = b"CONT\t%d\t%b\n" % (request_id, encode_base64(data))
    if len(line) > MAX_LINE_OCTETS:
        raise Malformed("Authentication response is too long.", detail=f"{len(line)} octets")
    return line


def cancel_line(request_id: int) -> bytes:
    return b"CANCEL\t%d\n" % request_id


def lookup_line(command: bytes, request_id: int, name: str, parameters: bytes) -> bytes:
    """``USER`` or ``PASS`` of the master protocol; ``parameters`` as of ``connection_parameters``."""
    line = b"%b\t%d\t%b%b\n" % (command, request_id, escape(to_octets(name)), parameters)
    if len(line) > MAX_LINE_OCTETS:
        raise Malformed("User name is too long.", detail=f"{len(line)} octets")
    return line


def list_line(request_id: int, mask: str, parameters: bytes) -> bytes:
    """``LIST``: every user name, or those the mask (``*`` and ``?``) matches."""
    shown = b"\tuser=" + escape(to_octets(mask)) if mask else b""
    return b"LIST\t%d%b%b\n" % (request_id, shown, parameters)


# --- the server's side --------------------------------------------------------------------------------------------


def server_hello(mechanisms: Mapping[str, Iterable[str]], spid: int, cuid: int, cookie: bytes) -> bytes:
    """Everything after the server's VERSION: MECH lines, SPID, CUID, COOKIE (16 octets shown in hex), DONE."""
    lines = []
    for name, flags in mechanisms.items():
        shown = set(flags)
        lines.append("\t".join(["MECH", name, *(flag for flag in MECHANISM_FLAGS if flag in shown)]))
    lines += [f"SPID\t{spid}", f"CUID\t{cuid}", f"COOKIE\t{cookie.hex()}", "DONE", ""]
    return "\n".join(lines).encode("ascii")


@dataclass(slots=True)
class AuthCommand:
    """One AUTH as received. ``initial`` None: no initial response; ``bad_base64`` overrides it."""

    id: int
    mechanism: str
    parameters: Parameters = field(repr=False)
    initial: bytes | None = field(default=None, repr=False)
    bad_base64: bool = False


def parse_auth(arguments: Sequence[bytes], minor: int) -> AuthCommand:
    """The arguments of AUTH. Raises Malformed for what ends a connection: id, missing protocol, text after resp."""
    if len(arguments) < 3:
        raise Malformed("AUTH misses arguments.", detail=f"{len(arguments)} arguments")
    request_id = parse_id(arguments[0])
    initial: bytes | None = None
    bad_base64 = False
    stop = len(arguments)
    if arguments[-1].startswith(b"resp="):
        stop -= 1
        text = arguments[-1][5:]
        if text == b"=" or (not text and minor >= MINOR_EMPTY_INITIAL):
            initial = b""
        elif text:
            initial = decode_base64(text)
            bad_base64 = initial is None
    given = list(arguments[2:stop])
    for argument in given:
        if argument.startswith(b"resp") and argument[4:5] in b"=":
            raise Malformed("AUTH has parameters after resp.", detail="resp must be last")
    parameters = Parameters(given)
    if not parameters.service:
        raise Malformed("AUTH misses protocol.", detail="neither protocol= nor service=")
    return AuthCommand(request_id, arguments[1].decode("ascii", "replace").upper(), parameters, initial, bad_base64)


def ok_line(request_id: int, user: str, fields: bytes = b"") -> bytes:
    """``OK``; ``fields`` as of ``fields_octets``."""
    return b"OK\t%d\tuser=%b%b\n" % (request_id, escape(user.encode("utf-8", "surrogateescape")), fields)


def fail_line(request_id: int, *, user: str = "", code: str = "", reason: str = "", fields: bytes = b"") -> bytes:
    """``FAIL``; every part is optional."""
    line = b"FAIL\t%d" % request_id
    if user:
        line += field_octets("user", user)
    if code:
        line += field_octets("code", code)
    if reason:
        line += field_octets("reason", reason)
    return line + fields + b"\n"


@dataclass(slots=True)
class LookupCommand:
    """USER, PASS or LIST as received (``name`` is LIST's mask, "" for all)."""

    id: int
    name: str
    parameters: Parameters


def parse_lookup(arguments: Sequence[bytes]) -> LookupCommand:
    """The arguments of USER or PASS: id, name, parameters. Raises Malformed."""
    if len(arguments) < 2:
        raise Malformed("Lookup misses arguments.", detail=f"{len(arguments)} arguments")
    name = unescape(arguments[1]).decode("utf-8", "surrogateescape")
    return LookupCommand(parse_id(arguments[0]), name, Parameters(list(arguments[2:])))


def parse_list(arguments: Sequence[bytes]) -> LookupCommand:
    """The arguments of LIST: id and parameters. Raises Malformed."""
    if not arguments:
        raise Malformed("LIST misses its ID.", detail="no arguments")
    parameters = Parameters(list(arguments[1:]))
    return LookupCommand(parse_id(arguments[0]), parameters.get("user", ""), parameters)


def found_line(command: bytes, request_id: int, fields: bytes, user: str | None = None) -> bytes:
    """``USER⇥id⇥name…`` (``user`` given) or ``PASS⇥id⇥user=name…`` (inside ``fields``)."""
    if user is None:
        return b"%b\t%d%b\n" % (command, request_id, fields)
    return b"%b\t%d\t%b%b\n" % (command, request_id, escape(to_octets(user)), fields)


def not_found_line(request_id: int) -> bytes:
    return b"NOTFOUND\t%d\n" % request_id
