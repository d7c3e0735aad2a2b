"""``$SET:`` and ``$ENV:``."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import Config, load
from roost.settings.schema import AuthSettings, ImapSettings, MailSettings, MasterSettings

ENVIRON = {"ROOST_X": "x y", "ROOST_DOLLAR": "$SET:base_dir %{user} # no"}


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "roost.conf"
    path.write_text(text)
    return load(str(path), environ=ENVIRON)


@pytest.mark.parametrize(
    ("text", "hostname"),
    [
        ("hostname = $SET:instance_name\ninstance_name = later\n", "later"),
        ("hostname = a  $SET:instance_name   b\n", "a roost b"),
        ("hostname = '$SET:instance_name'\n", "$SET:instance_name"),
        ('hostname = "$SET:instance_name"\n', "$SET:instance_name"),
        ("hostname = x$SET:instance_name\n", "x$SET:instance_name"),
        ("hostname = $ENV:ROOST_X\n", "x y"),
        ("hostname = $ENV:ROOST_NONE\n", ""),
        ("hostname = $ENV:ROOST_DOLLAR\n", ENVIRON["ROOST_DOLLAR"]),
        ("hostname = $SET:instance_name\ninstance_name = $ENV:ROOST_DOLLAR\n", ENVIRON["ROOST_DOLLAR"]),
        ("hostname = $SET:instance_name\ninstance_name = '$ENV:ROOST_X'\n", "$ENV:ROOST_X"),
        ("hostname = a\nhostname = $SET:hostname b\n", "a b"),
        ("hostname = $SET:service/imap/executable\n", "imap"),
        ("hostname = $SET:service/imap/user\n", "roost"),
        ("hostname = $SET:service/imap/inet_listener/imaps/port\n", "993"),
        ("hostname = $SET:ssl_server/prefer_ciphers\n", "client"),
        ("hostname = $SET:imap_idle_notify_interval\n", "2 mins"),
        ("hostname = $SET:protocols\n", "imap lmtp"),
        ("hostname = $SET:a\n".replace("$SET:a", "$"), "$"),
    ],
)
def test_values(tmp_path: Path, text: str, hostname: str) -> None:
    assert loaded(tmp_path, text).section(MasterSettings).hostname == hostname


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hostname = $SET:nothing\n", "Failed to expand $SET:nothing: Unknown setting"),
        ("hostname = $SET:service/nothing/user\n", "Unknown filter path"),
        ("hostname = $SET:nothing/user\n", "Unknown filter path"),
        ("hostname = $SET:imap_id_send\n", "Setting type can't be expanded to string"),
        ("hostname = $SET:instance_name\ninstance_name = $SET:hostname\n", "loops back to itself"),
        ("hostname = $ENV:HOME/mail\n", "not a name of an environment variable"),
    ],
)
def test_errors(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert part in caught.value.why
    assert caught.value.line >= 1


def test_appending_to_a_list(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "imap_client_workarounds = delay-newmail\n"
        "imap_client_workarounds = $SET:imap_client_workarounds tb-lsub-flags\n",
    )
    assert config.section(ImapSettings).imap_client_workarounds == ("delay-newmail", "tb-lsub-flags")


def test_appending_inside_a_filter_starts_from_the_value_outside(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mail_driver = a\nprotocol imap {\n  mail_driver = $SET:mail_driver b\n}\n")
    assert config.section(MailSettings, protocol="imap").mail_driver == "a b"
    assert config.section(MailSettings).mail_driver == "a"


def test_a_value_in_scope_is_taken(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "mail_driver = outer\nprotocol imap {\n  mail_driver = inner\n  mail_path = $SET:mail_driver\n}\n"
        "mail_path = $SET:mail_driver\n",
    )
    assert config.section(MailSettings, protocol="imap").mail_path == "inner"
    assert config.section(MailSettings).mail_path == "outer"


def test_services_inherit_the_defaults_that_are_set(tmp_path: Path) -> None:
    config = loaded(tmp_path, "default_internal_user = mail\ndefault_vsz_limit = 1G\ndefault_client_limit = 9\n")
    assert {service.user for service in config.services.values()} == {"mail"}
    assert {service.vsz_limit_octets for service in config.services.values()} == {1 << 30}
    assert config.services["imap"].client_limit == 1000


def test_a_bare_name_is_warned_about(tmp_path: Path) -> None:
    config = loaded(tmp_path, "auth_mechanisms = plain login\nhostname = $myhost\n")
    assert config.section(AuthSettings).auth_mechanisms == ("plain", "login")
    assert "$myhost is not a variable (write $SET:myhost)" in config.warnings[0]


def test_old_short_variables_are_warned_about(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mail_home = /srv/%d/%n\n")
    assert "%d is not a variable (write %{user | domain})" in config.warnings[0]


def test_growth_is_bounded(tmp_path: Path) -> None:
    lines = ["hostname = " + "x" * 1000]
    keys = ["instance_name", "login_greeting", "base_dir", "state_dir", "log_path", "mail_path", "mail_driver"]
    before = "hostname"
    for key in keys:
        lines.append(f"{key} = " + " ".join([f"$SET:{before}"] * 50))
        before = key
    with pytest.raises(ConfigError, match="too long"):
        loaded(tmp_path, "\n".join(lines))
