"""mail_user, mailbox and mail objects over the memory store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from kit.lua import Lines, load, run

from roost.lua.api import mail
from roost.lua.api.mail import MailObject, MailUser
from roost.lua.script import LuaFailure
from roost.settings.schema.mail import MailSettings
from roost.storage.api import BackendContext, ConnInfo, Flags, Identity, NewMessage, User
from roost.storage.backends.memory import open_memory


class Attributes:
    """Metadata in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}

    async def get(self, mailbox: str, key: str) -> bytes | None:
        return self.values.get((mailbox, key))

    async def set(self, mailbox: str, key: str, value: bytes | None) -> None:
        if value is None:
            self.values.pop((mailbox, key), None)
        else:
            self.values[mailbox, key] = value

    async def list(self, mailbox: str, prefix: str) -> Mapping[str, bytes]:
        return {key: value for (box, key), value in self.values.items() if box == mailbox and key.startswith(prefix)}


async def store_user(name: str = "anna") -> User:
    backend = open_memory(BackendContext(asdict(MailSettings()), lambda update: None, lambda level, text: None))
    await backend.start()
    user = await backend.open_user(ConnInfo("imap"), Identity(name))
    await user.list_mailboxes()
    inbox = await user.get_mailbox("INBOX")
    for system, words in ((8, ()), (1, ("Forwarded",)), (0, ())):
        upload = user.new_upload(20)
        upload.write(b"Subject: x\r\n\r\nbody\r\n")
        await inbox.create_messages([NewMessage(upload, Flags(system & 1, words))])
    return user


ATTRIBUTES = Attributes()


async def mail_user(name: str = "anna", metadata: Attributes | None = None) -> MailUser:
    return MailUser(
        await store_user(name),
        {"home": "/mail/anna", "uid": 1000, "anonymous": False},
        {"home": "/mail/anna"},
        metadata,
        {"quota": "1G"},
    )


def call(function: str, *, metadata: Attributes | None = None, **settings: Any) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = load("mail", Lines(), (mail.make,), **settings)
        await script.start()
        try:
            return await script.call(function, await mail_user(metadata=metadata))
        finally:
            await script.close()

    return run(whole())


def reason(function: str, **settings: Any) -> str:
    with pytest.raises(LuaFailure) as caught:
        call(function, **settings)
    return caught.value.reason


def test_members() -> None:
    assert call("user_members") == ("anna", "/mail/anna", 1000, False, "anna")
    assert call("expand") == ("anna//mail/anna",)


def test_status() -> None:
    assert call("status") == ("INBOX", 3, 2, 4, 0, 1, None, "integer")


def test_keywords_and_flags() -> None:
    keywords, flags, permanent, allowed = call("keywords")
    assert list(keywords.values()) == ["Forwarded"]
    assert (flags, permanent, allowed) == (0x3F, 0x1F, True)


def test_a_missing_mailbox() -> None:
    assert reason("missing") == "mailbox_open(Nope) failed: Mailbox doesn't exist: Nope"
    assert reason("no_name") == "No namespace found for mailbox "


def test_a_mailbox_is_made_when_asked() -> None:
    assert call("created") == (0, "Made/Here", "Made/Here", "Made/Here")


def test_metadata() -> None:
    attributes = Attributes()
    one, none, two, listed, gone, box = call("metadata", metadata=attributes)
    assert (one, none, two, gone) == ("1", None, "2\0binary", None)
    assert listed == {"/private/one": "1", "/private/two": "2\0binary"}
    assert attributes.values[("INBOX", "/private/vendor/vendor.dovecot/pvt/server/two")] == b"2\0binary"
    assert ("INBOX", "/shared/vendor/vendor.dovecot/pvt/server/other") not in attributes.values
    assert box["/private/comment"] == "hello"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("metadata_bad_key", "Invalid key prefix, must be /private/ or /shared/"),
        ("metadata_no_key", "expecting at least 1 parameter"),
        ("metadata_bad_type", "expected string at #2"),
        ("wrong_object", "Bad argument #1, expected struct mail_user got string"),
    ],
)
def test_misuse(function: str, text: str) -> None:
    assert reason(function, metadata=Attributes()) == text


def test_a_store_without_metadata() -> None:
    assert reason("metadata") == "Mailbox attributes not enabled"


def test_comparisons() -> None:
    async def whole() -> None:
        script = load("mail", Lines(), (mail.make,))
        await script.start()
        anna, bert = await mail_user("anna"), await mail_user("bert")
        assert await script.call("compare", anna, bert) == (False, True, True, True, True, False)
        one, two = MailObject(anna, "INBOX", 1, 7), MailObject(anna, "INBOX", 2, 9, True)
        other = MailObject(anna, "Sent", 1, 1)
        assert await script.call("mails", one, two, other) == (
            True,
            True,
            False,
            True,
            "<INBOX:UID 7>",
            1,
            7,
            False,
            False,
            "For lt, Mail can only be compared within same mailbox",
        )

    run(whole())


def test_plugin_getenv_of_2_3() -> None:
    assert call("plugin", lua_settings={"from_settings": "yes"}) == ("1G", "yes", None)
    assert "nil value" in reason("plugin", lua_compat="2.4")


def test_constants() -> None:
    assert call("wrong") == ("vendor/vendor.dovecot/pvt/server/",)
