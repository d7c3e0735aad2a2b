"""Response codes: every one the IMAP service may send, with its source, and those that carry values, ready for the
wire.

    resp-text-code = "ALERT" / "CAPABILITY" … / atom [SP 1*<any TEXT-CHAR except "]">]

Codes are octets without their brackets; ``replies.tagged`` and ``replies.untagged`` add those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roost.util.ranges import Ranges

# name → where it is defined. A test compares this with what the service sends.
CODES: Final = {
    "ALERT": "RFC 9051 §7.1",
    "ALREADYEXISTS": "RFC 5530 §3",
    "APPENDUID": "RFC 4315 §3",
    "AUTHENTICATIONFAILED": "RFC 5530 §3",
    "AUTHORIZATIONFAILED": "RFC 5530 §3",
    "BADCHARSET": "RFC 9051 §7.1",
    "CANNOT": "RFC 5530 §3",
    "CAPABILITY": "RFC 9051 §7.1",
    "CLIENTBUG": "RFC 5530 §3",
    "CLOSED": "RFC 7162 §3.2.11",
    "CONTACTADMIN": "RFC 5530 §3",
    "COPYUID": "RFC 4315 §3",
    "CORRUPTION": "RFC 5530 §3",
    "EXPIRED": "RFC 5530 §3",
    "EXPUNGEISSUED": "RFC 5530 §3",
    "HASCHILDREN": "RFC 9051 §7.1",
    "HIGHESTMODSEQ": "RFC 7162 §3.1.2.1",
    "INUSE": "RFC 5530 §3",
    "LIMIT": "RFC 5530 §3",
    "MODIFIED": "RFC 7162 §3.1.3",
    "NOMODSEQ": "RFC 7162 §3.1.2.2",
    "NONEXISTENT": "RFC 5530 §3",
    "NOPERM": "RFC 5530 §3",
    "OVERQUOTA": "RFC 5530 §3",
    "PARSE": "RFC 9051 §7.1",
    "PERMANENTFLAGS": "RFC 9051 §7.1",
    "PRIVACYREQUIRED": "RFC 5530 §3",
    "READ-ONLY": "RFC 9051 §7.1",
    "READ-WRITE": "RFC 9051 §7.1",
    "SERVERBUG": "RFC 5530 §3",
    "TOOBIG": "RFC 7889 §5.1",
    "TRYCREATE": "RFC 9051 §7.1",
    "UIDNEXT": "RFC 9051 §7.1",
    "UIDNOTSTICKY": "RFC 9051 §7.1",
    "UIDVALIDITY": "RFC 9051 §7.1",
    "UNAVAILABLE": "RFC 5530 §3",
    "UNKNOWN-CTE": "RFC 3516 §4.3",
    "UNSEEN": "RFC 3501 §7.1",
}

BADCHARSET: Final = b"BADCHARSET (US-ASCII UTF-8)"


def capability(names: Sequence[bytes]) -> bytes:
    return b"CAPABILITY %s" % b" ".join(names)


def permanent_flags(flags: bytes) -> bytes:
    """``flags`` as ``roost.imap.flags.permanent_flags`` makes them."""
    return b"PERMANENTFLAGS %s" % flags


def uidvalidity(value: int) -> bytes:
    return b"UIDVALIDITY %d" % value


def uidnext(value: int) -> bytes:
    return b"UIDNEXT %d" % value


def unseen(seq: int) -> bytes:
    """The first unseen message's sequence number."""
    return b"UNSEEN %d" % seq


def highest_modseq(value: int) -> bytes:
    return b"HIGHESTMODSEQ %d" % value


def modified(numbers: Ranges) -> bytes:
    """Messages that a conditional STORE left alone."""
    return b"MODIFIED %s" % numbers.format()


def append_uid(uidvalidity: int, uids: Ranges) -> bytes:
    return b"APPENDUID %d %s" % (uidvalidity, uids.format())


def copy_uid(uidvalidity: int, source: Ranges, dest: Ranges) -> bytes:
    """The n-th source UID became the n-th dest UID; both must not be empty."""
    return b"COPYUID %d %s %s" % (uidvalidity, source.format(), dest.format())
