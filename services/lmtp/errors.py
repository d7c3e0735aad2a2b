"""ERRORS: the one table from an error's class to a reply.

A sender keeps a message it got a 4xx for, and returns it to its author on a 5xx. So our own trouble (a helper or the
disk is down, stored data is damaged, a bug) is always 4xx, and only what will be the same tomorrow is 5xx.
"""

from __future__ import annotations

from roost.errors import (
    AuthTemporaryFailure,
    Corrupt,
    LimitExceeded,
    LoginForbidden,
    MailboxInUse,
    Malformed,
    NoSuchMailbox,
    OverQuota,
    PermissionDenied,
    ReadOnly,
    Refused,
    RoostError,
    TooBig,
    Unavailable,
)
from roost.smtp.replies import REPLIES, Reply

# The first row whose class fits; before it, a code that names a row of REPLIES.
ERRORS: tuple[tuple[type[RoostError], str], ...] = (
    (Malformed, "BAD_SYNTAX"),
    (AuthTemporaryFailure, "AUTH_TEMPORARY_FAILURE"),
    (Unavailable, "TEMPORARY_FAILURE"),
    (Corrupt, "TEMPORARY_FAILURE"),
    (OverQuota, "QUOTA"),
    (TooBig, "TOO_BIG"),
    (LoginForbidden, "RECIPIENT_FORBIDDEN"),
    # The store does not let us in, or not now: an administrator can put it right.
    (PermissionDenied, "TEMPORARY_FAILURE"),
    (ReadOnly, "MAILBOX_TEMPORARY_FAILURE"),
    (MailboxInUse, "MAILBOX_TEMPORARY_FAILURE"),
    (LimitExceeded, "MAILBOX_TEMPORARY_FAILURE"),
    (NoSuchMailbox, "MAILBOX_TEMPORARY_FAILURE"),
    (Refused, "REJECTED"),
)


def reply_of(error: Exception, *, quota_tempfail: bool = False) -> Reply:
    """The row of REPLIES for ``error``; a bug of ours has the same as a helper that is down."""
    if isinstance(error, RoostError):
        if error.code is not None and error.code in REPLIES:
            return REPLIES[error.code]
        for kind, name in ERRORS:
            if isinstance(error, kind):
                return REPLIES["QUOTA_TEMPORARY" if name == "QUOTA" and quota_tempfail else name]
    return REPLIES["TEMPORARY_FAILURE"]


def error_wire(error: Exception, *, prefix: str = "", verbose: bool = False, quota_tempfail: bool = False) -> bytes:
    """The reply line. Texts of errors about the client's own words go out; of 4xx only the row's text, unless
    ``verbose`` (lmtp_verbose_replies), since details name files and hosts."""
    reply = reply_of(error, quota_tempfail=quota_tempfail)
    text = reply.text
    if isinstance(error, RoostError) and (reply.code >= 500 or verbose):
        text = str(error) if verbose else error.client_text
    return reply.line(prefix + text[:400])
