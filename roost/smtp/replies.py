"""REPLIES: every reply of the LMTP room once (RFC 5321 §4.2, enhanced status codes of RFC 2034 and 3463).

A row's name is what errors carry as ``code``. The wire form is made once, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_UNSAFE = bytes(c if c >= 32 and c != 127 else 63 for c in range(256))  # control characters become "?"


@dataclass(frozen=True, slots=True)
class Reply:
    """``250 2.1.0 OK``. ``enhanced`` may be empty (LHLO, 354 and the greeting carry none)."""

    code: int
    enhanced: str
    text: str
    wire: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", self.line(self.text))

    def line(self, text: str) -> bytes:
        """The wire form with another text; control characters in it become ``?``, so that it stays one line."""
        octets = text.encode("utf-8", "replace").translate(_UNSAFE)
        if self.enhanced:
            return b"%d %s %s\r\n" % (self.code, self.enhanced.encode(), octets)
        return b"%d %s\r\n" % (self.code, octets)

    @property
    def failed(self) -> bool:
        return self.code >= 400


def multiline(code: int, texts: Sequence[str]) -> bytes:
    """``250-a``, ``250-b``, ``250 c``: the reply to LHLO. ``texts`` is not empty."""
    *head, last = (t.encode().translate(_UNSAFE) for t in texts)
    return b"".join(b"%d-%s\r\n" % (code, t) for t in head) + b"%d %s\r\n" % (code, last)


REPLIES: Mapping[str, Reply] = {
    "GREETING": Reply(220, "", "Roost ready."),
    "READY_TLS": Reply(220, "2.0.0", "Begin TLS negotiation now."),
    "BYE": Reply(221, "2.0.0", "Bye"),
    "OK": Reply(250, "2.0.0", "OK"),
    "SENDER_OK": Reply(250, "2.1.0", "OK"),
    "RECIPIENT_OK": Reply(250, "2.1.5", "OK"),
    "CHUNK_OK": Reply(250, "2.0.0", "OK"),
    "SAVED": Reply(250, "2.0.0", "Saved"),
    "CANNOT_VRFY": Reply(252, "2.3.3", "Try RCPT instead"),
    "HELP": Reply(214, "2.0.0", "LMTP: LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS HELP QUIT"),
    "GO_AHEAD": Reply(354, "", "OK"),
    "TIMEOUT": Reply(421, "4.4.2", "Disconnected for inactivity"),
    "SHUTTING_DOWN": Reply(421, "4.3.2", "Server is shutting down"),
    "TOO_MANY_ERRORS": Reply(421, "4.7.0", "Too many errors, closing"),
    "NOT_LMTP": Reply(421, "4.7.0", "This is an LMTP server, closing"),
    "BROKEN": Reply(421, "4.3.0", "Internal error, closing"),
    "TEMPORARY_FAILURE": Reply(451, "4.3.0", "Temporary internal failure, try again later"),
    "MAILBOX_TEMPORARY_FAILURE": Reply(451, "4.2.0", "Mailbox cannot take mail now, try again later"),
    "AUTH_TEMPORARY_FAILURE": Reply(451, "4.3.0", "Temporary user lookup failure, try again later"),
    "TOO_MANY_DELIVERIES": Reply(451, "4.3.0", "Too many concurrent deliveries for user"),
    "TOO_MANY_RECIPIENTS": Reply(452, "4.5.3", "Too many recipients"),
    "QUOTA_TEMPORARY": Reply(452, "4.2.2", "Quota exceeded (mailbox for user is full)"),
    "LINE_TOO_LONG": Reply(500, "5.5.2", "Line too long"),
    "UNKNOWN_COMMAND": Reply(500, "5.5.1", "Unknown command"),
    "USE_LHLO": Reply(500, "5.5.1", "This is LMTP, use LHLO"),
    "BAD_SYNTAX": Reply(501, "5.5.4", "Invalid arguments"),
    "BAD_ADDRESS": Reply(501, "5.1.3", "Invalid address syntax"),
    "BAD_SENDER": Reply(501, "5.1.7", "Invalid sender address syntax"),
    "NO_TLS": Reply(502, "5.5.1", "TLS is not available"),
    "BAD_SEQUENCE": Reply(503, "5.5.1", "Bad sequence of commands"),
    "NO_RECIPIENTS": Reply(503, "5.5.1", "No valid recipients"),
    "NO_SUCH_USER": Reply(550, "5.1.1", "User doesn't exist"),
    "RECIPIENT_FORBIDDEN": Reply(550, "5.7.1", "Recipient may not receive mail"),
    "REJECTED": Reply(550, "5.7.0", "Message refused"),
    "QUOTA": Reply(552, "5.2.2", "Quota exceeded (mailbox for user is full)"),
    "TOO_BIG": Reply(552, "5.3.4", "Message exceeds the maximum size"),
    "UNKNOWN_PARAMETER": Reply(555, "5.5.4", "Unsupported parameter"),
}
