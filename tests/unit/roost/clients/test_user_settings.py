"""Userdb fields that are settings of one user."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.clients.user_settings import PER_USER, user_settings
from roost.errors import AuthTemporaryFailure, RoostError
from roost.settings.fields import specs_of
from roost.settings.schema.mail import MailSettings
from roost.storage.api import BackendContext, ConnInfo, Identity
from roost.storage.backends import open_backend
from roost.storage.backends.sqlite.backend import SqliteBackend


def test_every_key_is_a_mail_setting() -> None:
    assert set(PER_USER) <= {spec.key for spec in specs_of(MailSettings)}


def test_fields_that_name_settings_are_typed_and_others_stay_fields() -> None:
    fields = {"quota_mail_size": "10M", "mail_path": "~/mail", "mail_max_userip_connections": "unlimited", "x": "y"}
    assert user_settings("u", fields) == {
        "mail_max_message_octets": 10 << 20,
        "mail_path": "~/mail",
        "mail_max_userip_connections": 0,
    }
    assert user_settings("u", {"home": "/h", "uid": "1", "mail": "maildir:~/Maildir"}) == {}
    assert user_settings("u", {"namespace/inbox/separator": "/", "namespace/inbox/unknown": "1"}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quota_mail_size", "much"),
        ("quota_mail_size", "-1"),
        ("mail_max_userip_connections", "many"),
        ("namespace/inbox/separator", "."),
        ("namespace/x/type", "shared"),
    ],
)
def test_a_bad_value_is_a_temporary_failure_that_names_field_and_user(name: str, value: str) -> None:
    with pytest.raises(AuthTemporaryFailure) as caught:
        user_settings("bob", {name: value})
    assert name in caught.value.detail and "bob" in caught.value.detail


def test_a_store_obeys_them(tmp_path: Path) -> None:
    context = BackendContext({"mail_max_message_octets": 1000}, lambda update: None, lambda level, text: None)
    backend = open_backend("sqlite", context)
    assert isinstance(backend, SqliteBackend)

    def path(**settings: object) -> str:
        return backend.path_of(Identity("bob@x.org", "/h/bob", {}, settings))

    assert path() == "/h/bob/store.db"
    assert path(mail_path="/mail/%{user}") == "/mail/bob@x.org/store.db"
    assert path(mail_path="/mail/%{domain}/%{username}.db") == "/mail/x.org/bob.db"
    assert path(mail_path="~/mail/%{user}") == "/h/bob/mail/bob@x.org/store.db"
    assert path(mail_path="~/x.db") == "/h/bob/x.db"
    with pytest.raises(RoostError):
        path(mail_path="relative")
    assert Identity("u").append_limit(1000) == 1000 and Identity("u").append_limit(0) is None
    assert Identity("u", settings={"mail_max_message_octets": 5}).append_limit(1000) == 5
    assert Identity("u", settings={"mail_max_message_octets": 0}).append_limit(1000) is None


@pytest.mark.parametrize("driver", ["memory", "sqlite"])
def test_the_largest_message_is_the_users(driver: str, tmp_path: Path) -> None:
    import asyncio

    async def run() -> int | None:
        context = BackendContext({}, lambda update: None, lambda level, text: None)
        backend = open_backend(driver, context)
        await backend.start()
        settings = {"mail_max_message_octets": 77}
        user = await backend.open_user(ConnInfo("imap"), Identity("bob", str(tmp_path), {}, settings))
        try:
            return user.append_limit
        finally:
            await user.logout()
            await backend.aclose()

    assert asyncio.run(run()) == 77
