"""Filters by connection: which match, and which wins."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from roost.settings import load
from roost.settings.connections import Conditions, Connection, matches, name_matches
from roost.settings.schema import MailSettings


@pytest.mark.parametrize(
    ("conditions", "connection", "expected"),
    [
        (Conditions(), Connection(), True),
        (Conditions(protocol="imap"), Connection("imap"), True),
        (Conditions(protocol="imap"), Connection("lmtp"), False),
        (Conditions(protocol="imap"), Connection(), False),
        (Conditions(protocol="!imap"), Connection("lmtp"), True),
        (Conditions(protocol="!imap"), Connection("imap"), False),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip="10.9.8.7"), True),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip="::ffff:10.9.8.7"), True),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip="11.0.0.1"), False),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip="::1"), False),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip=None), False),
        (Conditions(remote="10.0.0.0/8"), Connection(remote_ip="garbage"), False),
        (Conditions(remote="fe80::/10"), Connection(remote_ip="fe80::1%eth0"), True),
        (Conditions(local="192.0.2.1/32"), Connection(local_ip="192.0.2.1"), True),
        (Conditions(local_name="mail.example.org"), Connection(local_name="Mail.Example.ORG"), True),
        (Conditions(local_name="mail.example.org"), Connection(local_name=None), False),
        (Conditions(local="192.0.2.1/32", protocol="imap"), Connection("lmtp", local_ip="192.0.2.1"), False),
    ],
)
def test_matches(conditions: Conditions, connection: Connection, expected: bool) -> None:
    assert matches(conditions, connection) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("mail.*.org", "mail.example.org", True),
        ("example.org", "example.org", True),
    ],
)
def test_one_star_is_one_label(pattern: str, name: str, expected: bool) -> None:
    assert name_matches(pattern, name) is expected


# From the weakest to the strongest; all of them match the connection below.
BLOCKS = [
    "mail_max_userip_connections = 1",
    "protocol !lmtp {\n  mail_max_userip_connections = 2\n}",
    "protocol imap {\n  mail_max_userip_connections = 3\n}",
    "remote 10.0.0.0/8 {\n  mail_max_userip_connections = 4\n}",
    "remote 10.1.0.0/16 {\n  mail_max_userip_connections = 5\n}",
    "remote 10.1.0.0/16 {\n  protocol imap {\n    mail_max_userip_connections = 6\n  }\n}",
    "local_name *.example.org {\n  mail_max_userip_connections = 7\n}",
    "local_name mail.example.org {\n  mail_max_userip_connections = 8\n}",
    "local 192.0.2.0/24 {\n  mail_max_userip_connections = 9\n}",
    "local 192.0.2.1 {\n  mail_max_userip_connections = 10\n}",
    "local 192.0.2.1 {\n  remote 10.0.0.0/8 {\n    mail_max_userip_connections = 11\n  }\n}",
]


@pytest.mark.parametrize(("weak", "strong"), list(itertools.combinations(range(len(BLOCKS)), 2)))
def test_the_more_specific_filter_wins_in_either_order(tmp_path: Path, weak: int, strong: int) -> None:
    for first, second in ((weak, strong), (strong, weak)):
        path = tmp_path / "roost.conf"
        path.write_text(f"{BLOCKS[first]}\n{BLOCKS[second]}\n")
        found = load(str(path), environ={}).section(
            MailSettings, protocol="imap", local_ip="192.0.2.1", local_name="mail.example.org", remote_ip="10.1.2.3"
        )
        assert found.mail_max_userip_connections == strong + 1


def test_of_equals_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text("protocol imap {\n  mail_driver = a\n}\nprotocol imap {\n  mail_driver = b\n}\n")
    assert load(str(path), environ={}).section(MailSettings, protocol="imap").mail_driver == "b"


def test_a_host_name_is_its_addresses(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text("remote localhost {\n  mail_driver = near\n}\n")
    assert load(str(path), environ={}).section(MailSettings, remote_ip="127.0.0.1").mail_driver == "near"


def test_a_global_setting_after_a_filter_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text("protocol imap {\n  mail_driver = a\n}\nmail_driver = b\n")
    (warning,) = load(str(path), environ={}).warnings
    assert warning == (
        f"{path} line 4: Global setting mail_driver won't change the setting inside an earlier filter at {path} line 2"
    )


def test_a_service_can_have_its_own_value(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text("service lmtp {\n  mail_fsync = always\n}\n")
    config = load(str(path), environ={})
    assert config.section(MailSettings, service="lmtp").mail_fsync == "always"
    assert config.section(MailSettings, service="imap").mail_fsync == "optimized"


def test_databases_of_a_protocol_come_before_the_global_ones(tmp_path: Path) -> None:
    path = tmp_path / "roost.conf"
    path.write_text(
        "passdb static {\n  password = x\n}\n"
        "protocol imap {\n  passdb passwd-file {\n    passwd_file_path = /u\n  }\n}\n"
    )
    config = load(str(path), environ={})
    assert [one.name for one in config.passdbs] == ["static"]
    assert [one.name for one in config.passdbs_of("imap")] == ["passwd-file", "static"]
    assert [one.name for one in config.passdbs_of("lmtp")] == ["static"]
