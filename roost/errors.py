"""Every deliberate exception of Roost: two texts each, one for the peer and one for the log.

A protocol maps the *class* to its own reply in one table (``services/imap/dispatch.py``,
``services/lmtp/dispatch.py``, ``services/doveadm/cli.py``); handlers never format NO, BAD or 5xx.
Anything that is not a ``RoostError`` is our bug: logged with its traceback, answered as a server bug.
"""

from __future__ import annotations


class RoostError(Exception):
    """An expected failure.

    ``client_text`` is safe to show to anybody; ``detail`` is for the log only and may name files,
    hosts and causes (never a secret). ``code`` is a response code's name (RFC 5530) or None.
    """

    code: str | None = None

    def __init__(self, client_text: str, *, detail: str = "", code: str | None = None) -> None:
        super().__init__(client_text)
        self.client_text = client_text
        self.detail = detail
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.client_text} ({self.detail})" if self.detail else self.client_text


class Malformed(RoostError):
    """The peer broke the grammar or the order of the protocol: IMAP BAD, LMTP 500/501/503."""


class Refused(RoostError):
    """Well-formed and declined: IMAP NO [code], LMTP 550."""


class Unavailable(RoostError):
    """A helper or resource is down; trying later may work: IMAP NO [UNAVAILABLE], LMTP 451 4.3.0."""

    code = "UNAVAILABLE"


class Corrupt(RoostError):
    """Stored data contradicts itself: IMAP NO [CORRUPTION], LMTP 451 4.3.0. ``detail`` names what and where."""

    code = "CORRUPTION"


class ConfigError(RoostError):
    """The administrator must act: names the file, line, key and what to do. Exit status 78."""

    def __init__(self, why: str, *, file: str = "", line: int = 0, key: str = "") -> None:
        self.file, self.line, self.key, self.why = file, line, key, why
        where = f"Error in configuration file {file}" if file else "Error in configuration"
        if line:
            where += f" line {line}"
        super().__init__(f"{where}: {key + ': ' if key else ''}{why}")


class NoSuchMailbox(Refused):
    """The name does not exist. APPEND, COPY and MOVE answer [TRYCREATE] instead of [NONEXISTENT]."""

    code = "NONEXISTENT"


class MailboxAlreadyExists(Refused):
    """CREATE or RENAME onto a name in use."""

    code = "ALREADYEXISTS"


class MailboxHasChildren(Refused):
    """The operation needs a mailbox without inferiors."""

    code = "HASCHILDREN"


class InvalidName(Refused):
    """A mailbox name that can never exist (empty element, too long, control characters, bad UTF-7)."""

    code = "CANNOT"


class PermissionDenied(Refused):
    """The user may not do this."""

    code = "NOPERM"


class ReadOnly(Refused):
    """A change in a mailbox opened by EXAMINE, or a store that cannot be written."""

    code = "CANNOT"


class TooBig(Refused):
    """A message above the append limit."""

    code = "TOOBIG"


class OverQuota(Refused):
    """The user's quota is used up."""

    code = "OVERQUOTA"


class LimitExceeded(Refused):
    """A configured limit (mailboxes, keywords, connections) is reached; ``detail`` names the setting."""

    code = "LIMIT"


class MailboxInUse(Refused):
    """Somebody else holds the mailbox."""

    code = "INUSE"


class MessagesGone(Refused):
    """Messages were expunged by another session while this one still shows them."""

    code = "EXPUNGEISSUED"


class BadCharset(Refused):
    """SEARCH with a charset that is not supported."""

    code = "BADCHARSET"


class UnknownCte(Refused):
    """BINARY fetch of a part with an unknown content transfer encoding."""

    code = "UNKNOWN-CTE"


class InvalidCredentials(Refused):
    """Unknown user or wrong password: the two look alike."""

    code = "AUTHENTICATIONFAILED"


class LoginForbidden(Refused):
    """Authenticated but not let in; ``code`` says why (AUTHORIZATIONFAILED, EXPIRED, PRIVACYREQUIRED, CONTACTADMIN)."""

    code = "AUTHORIZATIONFAILED"


class AuthTemporaryFailure(Unavailable):
    """The authentication service or its database is down."""
