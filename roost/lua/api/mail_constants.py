"""The constants of ``dovecot.storage``."""

from __future__ import annotations

STATUS = {
    "MESSAGES": 0x1,
    "RECENT": 0x2,
    "UIDNEXT": 0x4,
    "UIDVALIDITY": 0x8,
    "UNSEEN": 0x10,
    "FIRST_UNSEEN_SEQ": 0x20,
    "KEYWORDS": 0x40,
    "HIGHESTMODSEQ": 0x80,
    "PERMANENT_FLAGS": 0x200,
    "FIRST_RECENT_UID": 0x400,
    "HIGHESTPVTMODSEQ": 0x2000,
}
MAILBOX_FLAG = {
    "READONLY": 0x1,
    "SAVEONLY": 0x2,
    "DROP_RECENT": 0x4,
    "NO_INDEX_FILES": 0x10,
    "KEEP_LOCKED": 0x20,
    "IGNORE_ACLS": 0x100,
    "AUTO_CREATE": 0x1000,
    "AUTO_SUBSCRIBE": 0x2000,
}
SYNC_FLAG = {
    "FULL_READ": 0x1,
    "FAST": 0x4,
    "NO_EXPUNGES": 0x8,
    "FIX_INCONSISTENT": 0x40,
    "EXPUNGE": 0x80,
    "FORCE_RESYNC": 0x100,
}
PREFIX = "vendor/vendor.dovecot/"
PREFIX_PVT = PREFIX + "pvt/"
PREFIX_PVT_SERVER = PREFIX_PVT + "server/"

CONSTANTS: dict[str, int | str] = {
    **{f"STATUS_{name}": value for name, value in STATUS.items()},
    **{f"MAILBOX_FLAG_{name}": value for name, value in MAILBOX_FLAG.items()},
    **{f"MAILBOX_SYNC_FLAG_{name}": value for name, value in SYNC_FLAG.items()},
    "MAILBOX_ATTRIBUTE_PREFIX_DOVECOT": PREFIX,
    "MAILBOX_ATTRIBUTE_PREFIX_DOVECOT_PVT": PREFIX_PVT,
    "MAILBOX_ATTRIBUTE_PREFIX_DOVECOT_PVT_SERVER": PREFIX_PVT_SERVER,
}

# Flag bits as scripts see them (status.flags); they are not the store's.
ANSWERED, FLAGGED, DELETED, SEEN, DRAFT, RECENT = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
ALL_FLAGS = ANSWERED | FLAGGED | DELETED | SEEN | DRAFT
