"""The settings a store reads, by the names of ``roost/settings/schema/mail.py``, with the same defaults.

A store is given a mapping (``BackendContext.settings``); what is missing there has its default here, so that a store
can be opened in a test or a tool with ``{}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

K = 1024
M = 1024 * K


@dataclass(frozen=True, slots=True)
class AutoMailbox:
    """A mailbox made for a new user (``mailbox NAME { auto = … special_use = … }``)."""

    name: str
    special_use: str = ""
    subscribe: bool = True


DEFAULT_MAILBOXES = (
    AutoMailbox("Drafts", "\\Drafts"),
    AutoMailbox("Sent", "\\Sent"),
    AutoMailbox("Junk", "\\Junk"),
    AutoMailbox("Trash", "\\Trash"),
    AutoMailbox("Archive", "\\Archive"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and behaviour of a store; one line each in ``docs/settings.md``."""

    mail_path: str = ""
    mail_fsync: str = "optimized"
    mail_max_message_octets: int = 50 * M
    mailbox_name_max_length: int = 255
    mailbox_max_depth: int = 20
    mailbox_max_count: int = 10_000
    keyword_limit: int = 58
    mail_max_keyword_length: int = 50
    mime_max_depth: int = 100
    mime_max_parts: int = 1000
    mime_max_header_octets: int = 1 * M
    store_cache_users: int = 200
    store_cache_octets: int = 64 * M
    store_body_inline_max: int = 256 * K
    store_idle_close_secs: int = 60
    store_journal_keep_secs: int = 14 * 86_400
    store_writer_threads: int = 4
    store_allow_network: bool = False
    mailboxes: tuple[AutoMailbox, ...] = DEFAULT_MAILBOXES

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Limits:
        """From ``BackendContext.settings``. Raises TypeError for a value of the wrong kind."""
        found: dict[str, object] = {}
        for item in fields(cls):
            value = settings.get(item.name)
            if value is None:
                continue
            if item.name == "mailboxes":
                found[item.name] = _mailboxes(value)
            elif not isinstance(value, {"str": str, "int": int, "bool": (bool, int)}[str(item.type)]):  # type: ignore[arg-type]  # a type or a tuple of them
                raise TypeError(f"{item.name}: {value!r}")
            else:
                found[item.name] = value
        return cls(**found)  # type: ignore[arg-type]  # checked above, field by field


def _mailboxes(value: object) -> tuple[AutoMailbox, ...]:
    """From the settings' ``mailbox`` filters (objects with ``name``, ``auto``, ``special_use``) or our own rows."""
    rows = []
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"mailboxes: {value!r}")
    for item in value:
        if isinstance(item, AutoMailbox):
            rows.append(item)
            continue
        auto = str(getattr(item, "auto", "no"))
        name = str(item.name)
        if auto in ("create", "subscribe") and name.upper() != "INBOX":
            use = getattr(item, "special_use", "")
            text = use if isinstance(use, str) else " ".join(use)
            rows.append(AutoMailbox(name, text, auto == "subscribe"))
    return tuple(rows)
