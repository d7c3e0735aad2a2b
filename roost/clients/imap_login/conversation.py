"""The client's side of an IMAP login (RFC 9051, RFC 3501), without a socket.

``feed`` takes what the server says and gives octets to send; STARTTLS is a step of its own. Name and password go as
AUTHENTICATE PLAIN where the server has it (with SASL-IR at once, else after its ``+``), otherwise as LOGIN with quoted
strings or literals: nothing in them can become another command. What a server says has bounds, and what it says in
front of TLS counts for nothing behind it.
"""

from __future__ import annotations

import base64
import enum
import re
from dataclasses import dataclass, field

from roost.util.secret import Secret

MAX_LINE_OCTETS = 16_384
MAX_TOTAL_OCTETS = 262_144
SHOWN_CHARS = 120

_LITERAL_END = re.compile(rb"\{([0-9]{1,10})\+?\}\Z")
_CODE = re.compile(
    rb"(OK|NO|BAD|BYE|PREAUTH)(?: +(?:\[([A-Za-z0-9-]+)(?: ([^\]]*))?\])?.*)?\Z", re.IGNORECASE | re.DOTALL
)
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,200}\Z")

EXPIRED_CODES = frozenset({"EXPIRED"})
TEMPORARY_CODES = frozenset(
    {
        "UNAVAILABLE",
        "INUSE",
        "LIMIT",
        "SERVERBUG",
        "CONTACTADMIN",
        "PRIVACYREQUIRED",
        "CLIENTBUG",
        "OVERQUOTA",
        "REFERRAL",
    }
)
"""Codes beside NO that say nothing about the password (RFC 5530, RFC 2221)."""


class LoginResult(enum.Enum):
    """What came of it."""

    OK = "ok"
    REFUSED = "refused"  # name or password is wrong
    EXPIRED = "expired"  # the password is
    UNKNOWN = "unknown"  # the server could not say, or said something else


@dataclass(frozen=True, slots=True)
class Finished:
    """The end. ``why`` is for the log and holds no secret."""

    result: LoginResult
    why: str = ""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin TLS now, then call ``secured``."""


@dataclass(frozen=True, slots=True)
class Send:
    """Octets for the server."""

    data: bytes = field(repr=False)


Step = Send | StartTls | Finished


class _State(enum.Enum):
    GREETING = enum.auto()
    CAPABILITY = enum.auto()
    STARTTLS = enum.auto()
    TLS = enum.auto()  # it is the caller's turn
    AUTHENTICATE = enum.auto()
    AUTHENTICATED = enum.auto()  # the message is sent: the verdict is to come
    LOGIN = enum.auto()
    DONE = enum.auto()


class LoginConversation:
    """One login. ``starttls``: TLS is to be begun before anything secret is said."""

    def __init__(self, user: bytes, password: Secret, *, starttls: bool) -> None:
        """Neither may hold NUL, which no form of IMAP can carry."""
        self._user = user
        self._password = password
        self._starttls = starttls
        self._state = _State.GREETING
        self._tag = 0
        self._buffer = bytearray()
        self._seen_octets = 0
        self._skip_octets = 0  # of a literal in the server's answer
        self._line = b""  # what came before that literal
        self._capabilities: frozenset[str] | None = None
        self._pending: list[bytes] = []  # parts of LOGIN that wait for a "+"

    def feed(self, octets: bytes) -> list[Step]:
        """What to do about these octets."""
        if self._state is _State.TLS:
            return [self._failed("octets behind the answer to STARTTLS")]
        self._seen_octets += len(octets)
        if self._seen_octets > MAX_TOTAL_OCTETS:
            return [self._failed("the server talks too much")]
        self._buffer += octets
        steps: list[Step] = []
        while self._state is not _State.DONE:
            line = self._next_line()
            if line is None:
                if len(self._buffer) > MAX_LINE_OCTETS or len(self._line) > MAX_LINE_OCTETS:
                    steps.append(self._failed("the server sends an endless line"))
                break
            step = self._take(line)
            if step is None:
                continue
            steps.append(step)
            if isinstance(step, StartTls):
                if self._buffer:  # somebody in between put in what would be read as if TLS protected it
                    steps[-1] = self._failed("octets behind the answer to STARTTLS")
                break
        return steps

    def secured(self) -> list[Step]:
        """TLS is there: what was said before is forgotten."""
        self._capabilities = None
        return [self._ask_capability()]

    def closed(self) -> Finished:
        """The server hung up."""
        return self._failed("the connection was lost")

    # --- reading ---

    def _next_line(self) -> bytes | None:
        while True:
            if self._skip_octets:
                gone = min(self._skip_octets, len(self._buffer))
                del self._buffer[:gone]
                self._skip_octets -= gone
                if self._skip_octets:
                    return None
            end = self._buffer.find(b"\n")
            if end < 0 or end > MAX_LINE_OCTETS:
                return None
            part = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            literal = _LITERAL_END.search(part)
            if literal is None:
                line, self._line = self._line + part, b""
                return line
            self._line += part[: literal.start()]
            self._skip_octets = int(literal[1])
            if self._skip_octets > MAX_TOTAL_OCTETS or len(self._line) > MAX_LINE_OCTETS:
                self._skip_octets = MAX_TOTAL_OCTETS + 1
                return None

    def _take(self, line: bytes) -> Step | None:
        if line.startswith(b"* "):
            return self._untagged(line[2:])
        if line.startswith(b"+"):
            return self._continued()
        tag, _, rest = line.partition(b" ")
        if tag != b"A%d" % self._tag or self._state in (_State.GREETING, _State.TLS):
            return self._failed(f"an unexpected answer: {self._shown(line)}")
        matched = _CODE.match(rest)
        if matched is None:
            return self._failed(f"an unexpected answer: {self._shown(line)}")
        return self._answered(matched[1].upper(), (matched[2] or b"").upper().decode(), matched[3] or b"", line)

    def _untagged(self, rest: bytes) -> Step | None:
        matched = _CODE.match(rest)
        word = matched[1].upper() if matched is not None else b""
        if word == b"BYE":
            return self._failed(f"the server says BYE: {self._shown(rest)}")
        if rest[:11].upper() == b"CAPABILITY ":
            self._capabilities = _words(rest[11:])
        elif matched is not None and (matched[2] or b"").upper() == b"CAPABILITY":
            self._capabilities = _words(matched[3] or b"")
        if self._state is not _State.GREETING:
            return None
        if word == b"PREAUTH":
            return self._failed("the server has logged us in before we said who we are (PREAUTH)")
        if word != b"OK":
            return self._failed(f"not an IMAP server: {self._shown(rest)}")
        if self._starttls:
            self._state = _State.STARTTLS
            return self._command(b"STARTTLS")
        return self._ask_capability() if self._capabilities is None else self._log_in()

    def _answered(self, word: bytes, code: str, data: bytes, line: bytes) -> Step | None:
        if code == "CAPABILITY":
            self._capabilities = _words(data)
        state = self._state
        if state is _State.STARTTLS:
            if word != b"OK":
                return self._failed(f"the server refuses STARTTLS: {self._shown(line)}")
            self._state = _State.TLS
            return StartTls()
        if state is _State.CAPABILITY:
            if word != b"OK" or self._capabilities is None:
                return self._failed(f"the server does not tell its capabilities: {self._shown(line)}")
            return self._log_in()
        self._state = _State.DONE
        if word == b"OK":
            if state is _State.AUTHENTICATE:
                return Finished(LoginResult.UNKNOWN, "the server says OK before it has the password")
            if state is _State.LOGIN and self._pending:
                return Finished(LoginResult.UNKNOWN, "the server says OK before it has the password")
            return Finished(LoginResult.OK)
        said = self._shown(line)
        if word != b"NO" or code in TEMPORARY_CODES:
            return Finished(LoginResult.UNKNOWN, f"the server cannot say: {said}")
        return Finished(LoginResult.EXPIRED if code in EXPIRED_CODES else LoginResult.REFUSED, said)

    def _continued(self) -> Step | None:
        if self._state is _State.AUTHENTICATE:
            self._state = _State.AUTHENTICATED
            return Send(self._message() + b"\r\n")
        if self._state is _State.LOGIN and self._pending:
            return Send(self._pending.pop(0))
        return self._failed("the server asks for more than there is")

    # --- speaking ---

    def _command(self, text: bytes) -> Send:
        self._tag += 1
        return Send(b"A%d %b\r\n" % (self._tag, text))

    def _ask_capability(self) -> Send:
        self._state = _State.CAPABILITY
        return self._command(b"CAPABILITY")

    def _log_in(self) -> Step:
        capabilities = self._capabilities or frozenset()
        if "IMAP4REV1" not in capabilities and "IMAP4REV2" not in capabilities:
            return self._failed("the server speaks neither IMAP4rev1 nor IMAP4rev2")
        if "AUTH=PLAIN" in capabilities:
            if "SASL-IR" in capabilities:
                self._state = _State.AUTHENTICATED
                return self._command(b"AUTHENTICATE PLAIN " + self._message())
            self._state = _State.AUTHENTICATE
            return self._command(b"AUTHENTICATE PLAIN")
        if "LOGINDISABLED" in capabilities:
            return self._failed("the server takes no passwords on this connection (LOGINDISABLED)")
        self._state = _State.LOGIN
        return self._login("LITERAL+" in capabilities, "LITERAL-" in capabilities or "IMAP4REV2" in capabilities)

    def _login(self, always: bool, short: bool) -> Send:
        """The command in parts: each but the last ends in a literal's head that the server must answer."""
        parts = [b"LOGIN"]
        for octets in (self._user, self._password.reveal()):
            if _QUOTABLE.match(octets):
                quoted = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                parts[-1] += b' "' + quoted + b'"'
            elif always or (short and len(octets) <= 4096):
                parts[-1] += b" {%d+}\r\n" % len(octets) + octets
            else:
                parts[-1] += b" {%d}\r\n" % len(octets)
                parts.append(octets)
        parts[-1] += b"\r\n"
        self._tag += 1
        self._pending = parts[1:]
        return Send(b"A%d %b" % (self._tag, parts[0]))

    def _message(self) -> bytes:
        return base64.b64encode(b"\0" + self._user + b"\0" + self._password.reveal())

    def _shown(self, line: bytes) -> str:
        """For the log. A hostile server may send our own words back."""
        password = self._password.reveal()
        said = (password, base64.b64encode(password).rstrip(b"="), self._message().rstrip(b"="))
        if password and any(one in line for one in said):
            return "(a text that repeats the password)"
        return line.decode("utf-8", "replace")[:SHOWN_CHARS]

    def _failed(self, why: str) -> Finished:
        self._state = _State.DONE
        return Finished(LoginResult.UNKNOWN, why)


def _words(text: bytes) -> frozenset[str]:
    return frozenset(text.decode("ascii", "replace").upper().split())
