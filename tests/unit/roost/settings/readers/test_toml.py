"""TOML drop-ins: the same tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import load
from roost.settings.readers.toml import read
from roost.settings.schema import ImapSettings, InetListener, MailSettings, MasterSettings


def write(tmp_path: Path, text: str) -> str:
    (tmp_path / "drop.toml").write_text(text)
    (tmp_path / "roost.conf").write_text("!include *.toml\n")
    return str(tmp_path / "roost.conf")


def test_a_drop_in_means_what_the_other_language_means(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            """
            base_dir = "/srv/x"
            shutdown_clients = false
            mail_max_userip_connections = 5
            imap_idle_notify_interval = "5 mins"
            protocols = ["imap"]

            [imap_id_send]
            vendor = "us"

            [service.imap.inet_listener.imap]
            port = 1143
            listen = ["127.0.0.1"]
            [service.imap.inet_listener.imaps]
            port = 0

            [protocol.imap]
            mail_max_userip_connections = 6
            [remote."10.0.0.0/8"]
            mail_max_userip_connections = 7
            """,
        ),
        environ={},
    )
    master = config.section(MasterSettings)
    assert (master.base_dir, master.shutdown_clients, master.protocols) == ("/srv/x", False, ("imap",))
    assert config.section(ImapSettings).imap_idle_notify_interval_secs == 300
    assert config.section(ImapSettings).imap_id_send == {"name": "Roost", "vendor": "us"}
    assert config.services["imap"].listeners == (InetListener("imap", "", "127.0.0.1", 1143),)
    assert config.section(MailSettings).mail_max_userip_connections == 5
    assert config.section(MailSettings, protocol="imap").mail_max_userip_connections == 6
    assert config.section(MailSettings, protocol="imap", remote_ip="10.1.1.1").mail_max_userip_connections == 7


def test_strings_are_literal(tmp_path: Path) -> None:
    config = load(write(tmp_path, 'hostname = "$ENV:HOME # x"\n'), environ={"HOME": "/root"})
    assert config.section(MasterSettings).hostname == "$ENV:HOME # x"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a = ", 1, "Not valid TOML"),
        ("\n\nbase_dir = '/x'\nbase_dir = '/y'", 4, "Not valid TOML"),
        ("base_dir = 1.5", 1, "A float cannot be a setting's value"),
        ("[service]\nimap = 3", 2, "service needs a table for each name"),
        ("\n[service.imap]\nproces_limit = 3", 3, "Did you mean process_limit?"),
        ("[service.auth.unix_listener.auth-userdb]\nmode = 438", 2, "an octal number"),
        ("[service.imap]\nprocess_limit = -1", 2, "Invalid number"),
        ("protocols = [1.5]", 1, "A list cannot be a setting's value"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), environ={})
    assert part in caught.value.why
    assert caught.value.file == str(tmp_path / "drop.toml")
    assert caught.value.line == line


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ConfigError, match="too deep"):
        read("a = " + "[" * 5000 + "]" * 5000, "f")
    with pytest.raises(ConfigError, match="too deep"):
        read("[" + ".".join(["a"] * 100) + "]\nb = 1\n", "f")
