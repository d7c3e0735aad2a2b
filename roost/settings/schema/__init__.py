"""The schema: every setting that exists, one file per area. A room's settings live here, not in the room, since the
master and ``doveconf`` must know every key without importing a room.

To add a setting: one field in its area's file, kept sorted, then ``python -m roost.settings.show > docs/settings.md``.
To add an area: one file, one row in ``AREAS``.
"""

from __future__ import annotations

from roost.settings.schema.anvil import AnvilSettings
from roost.settings.schema.auth import AuthSettings, PassdbSettings, UserdbSettings
from roost.settings.schema.dict import DictSettings
from roost.settings.schema.dns import DnsSettings
from roost.settings.schema.doveadm import DoveadmSettings
from roost.settings.schema.imap import ImapSettings
from roost.settings.schema.last_login import LAST_LOGIN, LastLoginSettings
from roost.settings.schema.lmtp import LmtpSettings
from roost.settings.schema.logging import LoggingSettings
from roost.settings.schema.lua import MAIL_LUA
from roost.settings.schema.mail import MAIL_ATTRIBUTE, MailboxSettings, MailSettings, NamespaceSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.notify import NotifySettings
from roost.settings.schema.oauth2 import LOCAL_VALIDATION
from roost.settings.schema.policy import AuthPolicySettings
from roost.settings.schema.services import (
    FifoListener,
    InetBlock,
    InetListener,
    Listener,
    ServiceSettings,
    UnixListener,
)
from roost.settings.schema.sql import PgsqlSettings
from roost.settings.schema.ssl import SslSettings

AREAS: tuple[type, ...] = (
    MasterSettings,
    LoggingSettings,
    SslSettings,
    AuthSettings,
    AuthPolicySettings,
    MailSettings,
    ImapSettings,
    LmtpSettings,
    LastLoginSettings,
    DnsSettings,
    DoveadmSettings,
    NotifySettings,
    AnvilSettings,
)
"""Global settings, in the order ``doveconf`` and the documentation show them."""

LIST_FILTERS: dict[str, type] = {
    "service": ServiceSettings,
    "unix_listener": UnixListener,
    "fifo_listener": FifoListener,
    "inet_listener": InetBlock,
    "passdb": PassdbSettings,
    "userdb": UserdbSettings,
    "pgsql": PgsqlSettings,
    "dict": DictSettings,
    "namespace": NamespaceSettings,
    "mailbox": MailboxSettings,
}
"""``name KEY { … }`` sections."""

PARENTS: dict[str, tuple[str, ...]] = {
    "unix_listener": ("service",),
    "fifo_listener": ("service",),
    "inet_listener": ("service",),
    "mailbox": ("namespace",),
}
"""List filters that stand inside another one only; all others stand inside none."""

NAMED_FILTERS: tuple[str, ...] = (
    "ssl_server",
    "oauth2",
    LOCAL_VALIDATION,
    "auth_policy",
    MAIL_LUA,
    MAIL_ATTRIBUTE,
    LAST_LOGIN,
)
"""``name { … }`` sections: a prefix of the keys inside."""

INSIDE: dict[str, tuple[str, ...]] = {
    "oauth2": ("http_client_", "ssl_client_", "dns_client_"),
    "auth_policy": ("http_client_", "ssl_client_", "dns_client_"),
    MAIL_LUA: ("lua_",),
}
"""Named filter → prefixes of the keys that have a value of their own inside it."""

INLINE: dict[str, tuple[str, ...]] = {"dict": (LOCAL_VALIDATION, MAIL_ATTRIBUTE, LAST_LOGIN)}
"""List filters that may also stand in these named filters, and are then their own."""

__all__ = [
    "AREAS",
    "INLINE",
    "INSIDE",
    "LIST_FILTERS",
    "NAMED_FILTERS",
    "PARENTS",
    "AnvilSettings",
    "AuthPolicySettings",
    "AuthSettings",
    "DictSettings",
    "DnsSettings",
    "DoveadmSettings",
    "FifoListener",
    "ImapSettings",
    "InetBlock",
    "InetListener",
    "LastLoginSettings",
    "Listener",
    "LmtpSettings",
    "LoggingSettings",
    "MailSettings",
    "MailboxSettings",
    "MasterSettings",
    "NamespaceSettings",
    "NotifySettings",
    "PassdbSettings",
    "PgsqlSettings",
    "ServiceSettings",
    "SslSettings",
    "UnixListener",
    "UserdbSettings",
]
