"""Users' stores, mailboxes and the limits of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, ENUM, SECS, SIZE, STR, TEMPLATE, UINT, setting

MAIL_ATTRIBUTE = "mail_attribute"
"""``mail_attribute { dict NAME { … } }``: where attributes of users and mailboxes are kept."""


@dataclass(frozen=True)
class MailSettings:
    """Read by every room that opens stores."""

    keyword_limit: int = setting(
        58, type=UINT, low=1, high=58, unit="keywords", text="Different keywords one mailbox may have."
    )
    mail_driver: str = setting("sqlite", type=STR, text="Storage backend: sqlite, memory, or an installed one.")
    mail_fsync: str = setting(
        "optimized",
        type=ENUM,
        choices=("optimized", "always", "never"),
        text="Wait for the disk: when mail would be lost (optimized), at each change, or not at all.",
    )
    mail_home: str = setting(
        "/var/mail/roost/%{user}", type=TEMPLATE, text="Home directory of users to whom the userdb gives none."
    )
    mail_max_keyword_length: int = setting(50, type=UINT, low=1, unit="octets", text="Longest name of a keyword.")
    mail_max_message_octets: int = setting(
        50 << 20,
        type=SIZE,
        key="quota_mail_size",
        low=1,
        unlimited=0,
        text="Largest message that APPEND and delivery take.",
    )
    mail_max_userip_connections: int = setting(
        20,
        type=UINT,
        unlimited=0,
        low=1,
        unit="connections",
        text="Connections of one user from one address, by protocol.",
    )
    mail_path: str = setting(
        "", type=TEMPLATE, text='Where the backend keeps a user\'s mail. "" for sqlite: store.db in the home directory.'
    )
    mailbox_max_count: int = setting(10000, type=UINT, low=10, unit="mailboxes", text="Mailboxes one user may have.")
    mailbox_max_depth: int = setting(20, type=UINT, low=1, high=100, unit="levels", text="Levels of a mailbox name.")
    mailbox_name_max_length: int = setting(
        255, type=UINT, low=32, high=4096, unit="octets", text="Longest name of one mailbox, in UTF-8."
    )
    mime_max_depth: int = setting(
        100, type=UINT, low=1, high=1000, unit="levels", text="Nesting of parts that is looked into."
    )
    mime_max_header_octets: int = setting(
        1 << 20,
        type=SIZE,
        key="mime_max_header_size",
        low=4096,
        text="Header octets of one message that are looked into.",
    )
    mime_max_parts: int = setting(
        1000, type=UINT, low=1, unit="parts", text="Parts of one message that are looked into."
    )
    store_allow_network: bool = setting(
        False, type=BOOL, text="Open stores on network file systems too, where SQLite's locks cannot be trusted."
    )
    store_body_inline_max: int = setting(
        256 << 10, type=SIZE, key="store_body_inline_max_size", text="Larger bodies become files beside the database."
    )
    store_cache_octets: int = setting(
        64 << 20, type=SIZE, key="store_cache_size", text="Memory for open mailboxes, by process."
    )
    store_cache_users: int = setting(200, type=UINT, low=1, unit="users", text="Stores kept open, by process.")
    store_idle_close_secs: int = setting(60, type=SECS, low=1, text="A store nobody uses is closed after this.")
    store_journal_keep_secs: int = setting(
        14 * 86400, type=SECS, low=60, text="How long the journal of changes is kept for those who read it later."
    )
    store_writer_threads: int = setting(
        4, type=UINT, low=1, high=64, unit="threads", text="Threads that wait for the disk, by process."
    )


@dataclass(frozen=True)
class NamespaceSettings:
    """``namespace NAME { … }``. There is one, ``inbox``; it exists so that Dovecot's spelling of mailboxes loads."""

    PREFIX: ClassVar[str] = "namespace_"

    name: str = setting("", type=STR, text="Name of the section.")
    inbox: bool = setting(False, type=BOOL, text="The namespace that holds INBOX; must be yes.")
    prefix: str = setting("", type=ENUM, choices=("",), text="Prefix of its mailbox names; always empty.")
    separator: str = setting("/", type=ENUM, choices=("/",), text="Separator of the levels of mailbox names.")
    type: str = setting("private", type=ENUM, choices=("private",), text="Whose mailboxes: always the user's own.")


@dataclass(frozen=True)
class MailboxSettings:
    """``mailbox NAME { … }`` inside the namespace: made for the user at the first login."""

    PREFIX: ClassVar[str] = "mailbox_"

    name: str = setting("", type=STR, text="Name of the mailbox.")
    auto: str = setting(
        "no",
        type=ENUM,
        choices=("no", "create", "subscribe"),
        text="Made at first login, and subscribed; no = only its special use is known.",
    )
    special_use: str = setting("", type=STR, text="Special use of the mailbox, such as \\Sent (RFC 6154).")
