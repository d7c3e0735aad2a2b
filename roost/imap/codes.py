"""Response codes: every one the IMAP service may send, with its source, and those that carry values, ready for the
wire.

    resp-text-code = "ALERT" / "CAPABILITY" … / atom [SP 1*<any TEXT-CHAR except "]">]

Codes are octets without their brackets; ``replies.tagged`` and ``replies.untagged`` add those.
"""

from __future__ import annotations

from typing import Final

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
    "USEATTR": "RFC 6154 §6",
}
