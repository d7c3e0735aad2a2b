"""``dovecot.storage`` and the objects mail_user, mailbox and mail, over ``roost.storage.api``.

A room makes a ``MailUser`` and gives it to ``Script.call``. Metadata is served by what implements ``Metadata``; a store
without it answers as Dovecot does when the feature is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from roost.errors import ConfigError, MailboxAlreadyExists, NoSuchMailbox, RoostError
from roost.lua.api.base import Api, ScriptError, lua_text
from roost.lua.api.mail_constants import (
    ALL_FLAGS,
    CONSTANTS,
    MAILBOX_FLAG,
    PREFIX_PVT_SERVER,
    RECENT,
    STATUS,
)
from roost.lua.script import Pushed
from roost.lua.values import octets
from roost.settings.filters.value import Injected
from roost.settings.variables import expand
from roost.storage.api import Mailbox, User

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "mail.lua")
KEY_PREFIXES = ("/private/", "/shared/")


class Metadata(Protocol):
    """Attributes of mailboxes, as METADATA (RFC 5464) has them. Keys begin with one of KEY_PREFIXES; values are octets.

    Each raises RoostError.
    """

    async def get(self, mailbox: str, key: str) -> bytes | None: ...

    async def set(self, mailbox: str, key: str, value: bytes | None) -> None:
        """None removes it."""
        ...

    async def list(self, mailbox: str, prefix: str) -> Mapping[str, bytes]:
        """All entries whose key begins with the prefix."""
        ...


@dataclass(slots=True)
class MailUser(Pushed):
    """A user of the store as scripts see him. ``members``: ``home uid gid service session_id anonymous …``."""

    user: User
    members: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: Metadata | None = None
    plugin_settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    injected: Injected = field(default_factory=dict, repr=False)

    def push(self, script: Script) -> Any:
        members = {"username": self.user.username, **self.members}
        return script.tool("mail_user", script.keep(self), members)


@dataclass(slots=True)
class MailObject(Pushed):
    """One message, as hooks get it."""

    owner: MailUser
    mailbox: str
    seq: int
    uid: int
    expunged: bool = False

    def push(self, script: Script) -> Any:
        box = script.keep(Box(self.owner, self.mailbox, 0))
        return script.tool("mail", box, self.mailbox, self.seq, self.uid, self.expunged)


@dataclass(slots=True)
class Box:
    """A mailbox object of a script: a name until it is opened."""

    owner: MailUser
    name: str
    flags: int
    opened: Mailbox | None = None

    async def open(self) -> Mailbox:
        """The store's handle, opened when it is not yet."""
        if self.opened is None:
            user = self.owner.user
            try:
                self.opened = await user.get_mailbox(self.name)
            except NoSuchMailbox:
                if not self.flags & MAILBOX_FLAG["AUTO_CREATE"]:
                    raise ScriptError(f"mailbox_open({self.name}) failed: Mailbox doesn't exist: {self.name}") from None
                await _create(user, self.name, subscribe=bool(self.flags & MAILBOX_FLAG["AUTO_SUBSCRIBE"]))
                self.opened = await user.get_mailbox(self.name)
            except RoostError as error:
                raise ScriptError(f"mailbox_open({self.name}) failed: {error.client_text}") from None
        return self.opened

    async def close(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            await opened.aclose()


async def _create(user: User, name: str, *, subscribe: bool) -> None:
    try:
        await user.create_mailbox(name)
    except MailboxAlreadyExists:
        pass  # somebody was quicker
    if subscribe:
        await user.set_subscribed(name, True)


async def status_table(box: Box, items: int) -> dict[str, Any]:
    """The status table: what was not asked for is 0, false, or (keywords) absent."""
    mailbox = await box.open()
    try:
        status = await mailbox.status()
        wants = {name: bool(items & bit) for name, bit in STATUS.items()}
        made: dict[str, Any] = {
            "mailbox": box.name,
            "messages": status.messages if wants["MESSAGES"] else 0,
            "recent": status.recent if wants["RECENT"] else 0,
            "unseen": status.unseen if wants["UNSEEN"] else 0,
            "uidvalidity": status.uidvalidity if wants["UIDVALIDITY"] else 0,
            "uidnext": status.uidnext if wants["UIDNEXT"] else 0,
            "highest_modseq": status.highest_modseq if wants["HIGHESTMODSEQ"] else 0,
            "highest_pvt_modseq": 0,
            "first_unseen_seq": 0,
            "first_recent_uid": 0,
            "permanent_flags": ALL_FLAGS if wants["PERMANENT_FLAGS"] else 0,
            "flags": ALL_FLAGS | RECENT if wants["PERMANENT_FLAGS"] else 0,
            "permanent_keywords": wants["PERMANENT_FLAGS"],
            "allow_new_keywords": wants["PERMANENT_FLAGS"],
            "nonpermanent_modseqs": False,
            "no_modseq_tracking": False,
            "have_guids": True,
            "have_save_guids": True,
            "have_only_guid128": True,
        }
        if wants["KEYWORDS"] or wants["FIRST_UNSEEN_SEQ"] or wants["FIRST_RECENT_UID"]:
            view = await mailbox.select(read_only=True, claim_recent=False)
            if wants["KEYWORDS"]:
                made["keywords"] = list(view.keywords)
            if wants["FIRST_UNSEEN_SEQ"] and view.first_unseen_uid is not None:
                made["first_unseen_seq"] = view.uids.index(view.first_unseen_uid) + 1
            if wants["FIRST_RECENT_UID"]:
                made["first_recent_uid"] = view.recent.first if view.recent else view.uidnext
    except RoostError as error:
        raise ScriptError(f"mailbox_status({box.name}) failed: {error.client_text}") from None
    return made


def checked_key(key: str) -> str:
    """A metadata key. Raises ScriptError with Dovecot's text."""
    if not key.startswith(KEY_PREFIXES):
        raise ScriptError("Invalid key prefix, must be /private/ or /shared/")
    return key


def _place(kept: MailUser | Box) -> tuple[Metadata, str, str]:
    """→ the store of metadata, the mailbox, and what stands after ``/private/`` in a key of the user's."""
    owner = kept if isinstance(kept, MailUser) else kept.owner
    if owner.metadata is None:
        raise ScriptError("Mailbox attributes not enabled")
    return owner.metadata, *(("INBOX", PREFIX_PVT_SERVER) if isinstance(kept, MailUser) else (kept.name, ""))


def _inside(key: str, hidden: str) -> str:
    first, _, rest = checked_key(key)[1:].partition("/")
    return f"/{first}/{hidden}{rest}"


def make(script: Script) -> Api:
    """The family for one script of a mail process."""

    def new_mailbox(number: int, name: str, flags: int) -> int:
        if not name or "\0" in name:
            raise ScriptError(f"No namespace found for mailbox {name}")
        return script.keep(Box(script.kept(number), name, flags))

    def var_expand(number: int, template: str) -> str:
        owner: MailUser = script.kept(number)
        try:
            return expand(template, {"user": owner.user.username, **owner.variables}, injected=owner.injected)
        except ConfigError as error:
            raise ScriptError(f"var_expand({template}) failed: {error.why}") from None

    def plugin_getenv(number: int, key: str) -> str | None:
        owner: MailUser = script.kept(number)
        return owner.plugin_settings.get(key, script.settings.lua_settings.get(key))

    async def open_mailbox(number: int) -> None:
        await script.kept(number).open()

    async def close_mailbox(number: int) -> None:
        await script.kept(number).close()

    async def sync(number: int, flags: int) -> None:
        box: Box = script.kept(number)
        try:
            await (await box.open()).check()
        except RoostError as error:
            raise ScriptError(f"mailbox_sync({box.name}) failed: {error.client_text}") from None

    async def status(number: int, items: int) -> dict[str, Any]:
        return await status_table(script.kept(number), items)

    async def metadata_get(number: int, *keys: str) -> tuple[bytes | None, ...]:
        store, mailbox, hidden = _place(script.kept(number))
        return tuple([await store.get(mailbox, _inside(str(key), hidden)) for key in keys])

    async def metadata_set(number: int, key: str, value: str | None = None) -> None:
        store, mailbox, hidden = _place(script.kept(number))
        await store.set(mailbox, _inside(key, hidden), None if value is None else octets(value))

    async def metadata_list(number: int, *prefixes: str) -> dict[str, bytes]:
        store, mailbox, hidden = _place(script.kept(number))
        made: dict[str, bytes] = {}
        for prefix in prefixes:
            found = await store.list(mailbox, _inside(str(prefix), hidden))
            made.update({_shown(key, hidden): value for key, value in found.items()})
        return made

    return Api(
        name="dovecot.storage",
        members=CONSTANTS,
        source=_SOURCE,
        functions={"mailbox": new_mailbox, "var_expand": var_expand, "plugin_getenv": plugin_getenv},
        hosts={
            "mail.open": open_mailbox,
            "mail.close": close_mailbox,
            "mail.free": close_mailbox,
            "mail.sync": sync,
            "mail.status": status,
            "mail.metadata_get": metadata_get,
            "mail.metadata_set": metadata_set,
            "mail.metadata_list": metadata_list,
        },
    )


def _shown(key: str, hidden: str) -> str:
    if not hidden:
        return key
    first, _, rest = key[1:].partition("/")
    return f"/{first}/{rest.removeprefix(hidden)}"
