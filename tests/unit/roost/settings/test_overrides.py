"""``-o path=value``."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import Config, load
from roost.settings.schema import AuthSettings, ImapSettings, MailSettings, UnixListener


def loaded(tmp_path: Path, *overrides: str, text: str = "") -> Config:
    path = tmp_path / "roost.conf"
    path.write_text(text)
    return load(str(path), overrides, {})


def test_an_override_wins_over_every_file_and_filter(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mail_driver=memory", text="mail_driver = a\nprotocol imap {\n  mail_driver = b\n}\n")
    assert config.section(MailSettings, protocol="imap").mail_driver == "memory"


def test_paths(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "service/imap/process_limit=4",
        "service/imap-login/inet_listener/imap/port = 1143",
        "service/auth/unix_listener/private\\sauth/mode=0660",
        "protocol/imap/mail_max_userip_connections=6",
        "ssl_server/cert_file=/c",
        "imap_id_send/vendor=us",
        "imap_id_send/name=x=y",
        "auth_mechanisms/login=no",
        "imap_client_workarounds+=delay-newmail tb-lsub-flags",
    )
    assert config.services["imap"].process_limit == 4
    assert config.services["imap"].listeners[0].port == 1143  # type: ignore[union-attr]
    assert UnixListener("/run/roost/private/auth", "", 0o660) in config.services["auth"].listeners
    assert config.section(MailSettings, protocol="imap").mail_max_userip_connections == 6
    assert config.section(ImapSettings).imap_id_send == {"name": "x=y", "vendor": "us"}
    assert config.section(AuthSettings).auth_mechanisms == ("plain",)
    assert config.section(ImapSettings).imap_client_workarounds == ("delay-newmail", "tb-lsub-flags")


def test_an_element_can_be_added(tmp_path: Path) -> None:
    config = loaded(tmp_path, "passdb+=static", "passdb/static/password=x")
    assert [(one.name, one.static_password) for one in config.passdbs] == [("static", "x")]


def test_a_group_can_be_changed_where_one_is_used(tmp_path: Path) -> None:
    text = "group @who a {\n  mail_driver = a\n}\ngroup @who b {\n  mail_driver = b\n}\n@who = a\n"
    assert loaded(tmp_path, text=text).section(MailSettings).mail_driver == "a"
    assert loaded(tmp_path, "@who=b", text=text).section(MailSettings).mail_driver == "b"
    with pytest.raises(ConfigError, match="Unknown group label @what"):
        loaded(tmp_path, "@what=b", text=text)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("mail_driver", "must be in path=value format"),
        ("=x", "must be in path=value format"),
        ("mail_drver=x", "Did you mean mail_driver?"),
        ("service/imap=x", "the name of a setting is missing"),
        ("service/imap/process_limit=x", "Invalid number x"),
        ("a/b/c=x", "Unknown filter path"),
        ("mail_driver/x=y", "cannot be used as a section"),
    ],
)
def test_errors(tmp_path: Path, override: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, override)
    assert part in caught.value.why
    assert caught.value.file in ("-o", "")
