"""Every capability this room can show, in the order it shows them. Nothing is listed that is not done. PURE.

AUTH=… is added by ``Shared.capability_names``: it depends on the auth service. The setting ``imap_capability`` decides
which of these are shown at all; its default names them all.
"""

from __future__ import annotations

import enum
from typing import Final


class When(enum.Enum):
    """On which connections a capability is shown."""

    ALWAYS = "always"
    BEFORE_LOGIN = "until login"
    LOGGED_IN = "after login"
    BEFORE_TLS = "while STARTTLS is possible"
    PLAINTEXT_REFUSED = "while LOGIN is refused"
    CONDSTORE = "if the store has modseqs"
    MOVE = "if the store can move"
    SPECIAL_USE = "if the store knows special uses"
    APPEND_LIMIT = "if messages have a largest size; shown as APPENDLIMIT=n"


CAPABILITIES: Final = (
    (b"IMAP4rev1", When.ALWAYS),  # RFC 3501
    (b"SASL-IR", When.BEFORE_LOGIN),  # RFC 4959
    (b"LITERAL+", When.ALWAYS),  # RFC 7888
    (b"ID", When.ALWAYS),  # RFC 2971
    (b"ENABLE", When.ALWAYS),  # RFC 5161
    (b"IDLE", When.ALWAYS),  # RFC 2177
    (b"STARTTLS", When.BEFORE_TLS),
    (b"LOGINDISABLED", When.PLAINTEXT_REFUSED),
    (b"NAMESPACE", When.LOGGED_IN),  # RFC 2342
    (b"CHILDREN", When.LOGGED_IN),  # RFC 3348
    (b"UNSELECT", When.LOGGED_IN),  # RFC 3691
    (b"UIDPLUS", When.LOGGED_IN),  # RFC 4315
    (b"MOVE", When.MOVE),  # RFC 6851
    (b"MULTIAPPEND", When.LOGGED_IN),  # RFC 3502
    (b"LIST-EXTENDED", When.LOGGED_IN),  # RFC 5258
    (b"LIST-STATUS", When.LOGGED_IN),  # RFC 5819
    (b"SPECIAL-USE", When.SPECIAL_USE),  # RFC 6154
    (b"CREATE-SPECIAL-USE", When.SPECIAL_USE),  # RFC 6154 §3
    (b"STATUS=SIZE", When.LOGGED_IN),  # RFC 8438
    (b"CONDSTORE", When.CONDSTORE),  # RFC 7162
    (b"APPENDLIMIT", When.APPEND_LIMIT),  # RFC 7889
)
