"""The store's view of the settings agrees with their schema."""

from __future__ import annotations

from dataclasses import fields

import pytest

from roost.settings.schema.mail import MailboxSettings, MailSettings
from roost.storage.limits import AutoMailbox, Limits


def test_names_and_defaults_are_the_schemas() -> None:
    schema, ours = MailSettings(), Limits()
    for item in fields(Limits):
        if item.name != "mailboxes":
            assert getattr(ours, item.name) == getattr(schema, item.name), item.name


def test_read_from_settings() -> None:
    values: dict[str, object] = {item.name: getattr(MailSettings(), item.name) for item in fields(MailSettings)}
    assert Limits.of(values) == Limits() == Limits.of({})
    values["mailboxes"] = (
        MailboxSettings(name="Sent", auto="subscribe", special_use="\\Sent"),
        MailboxSettings(name="Old/Mail", auto="create"),
        MailboxSettings(name="Never", auto="no"),
        MailboxSettings(name="INBOX", auto="subscribe"),
        AutoMailbox("Ours"),
    )
    assert Limits.of(values).mailboxes == (
        AutoMailbox("Sent", "\\Sent", True),
        AutoMailbox("Old/Mail", "", False),
        AutoMailbox("Ours"),
    )


@pytest.mark.parametrize("bad", [{"keyword_limit": "58"}, {"mail_fsync": 1}, {"mailboxes": "INBOX"}])
def test_a_value_of_the_wrong_kind(bad: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Limits.of(bad)
