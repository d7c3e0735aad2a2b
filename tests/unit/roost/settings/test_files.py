"""Includes, ``<file`` and the limits of reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import Config, files, load
from roost.settings.schema import LoggingSettings, MailSettings, MasterSettings, SslSettings


def write(tmp_path: Path, **texts: str) -> str:
    for name, text in texts.items():
        (tmp_path / f"{name}.conf").write_text(text)
    return str(tmp_path / "main.conf")


def loaded(tmp_path: Path, **texts: str) -> Config:
    return load(write(tmp_path, **texts), environ={})


def test_includes_are_relative_sorted_and_keep_their_section(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "20-b.conf").write_text("mail_driver = second\n!include deep/*.conf\n")
    (tmp_path / "conf.d" / "10-a.conf").write_text("mail_driver = first\nmail_fsync = always\n")
    (tmp_path / "conf.d" / "deep").mkdir()
    (tmp_path / "conf.d" / "deep" / "c.conf").write_text("mail_path = /deep\n")
    config = loaded(tmp_path, main="protocol imap {\n  !include conf.d/*.conf\n}\nlog_path = /main\n")
    mail = config.section(MailSettings, protocol="imap")
    assert (mail.mail_driver, mail.mail_fsync, mail.mail_path) == ("second", "always", "/deep")
    assert config.section(MailSettings).mail_driver == "sqlite"
    assert config.section(LoggingSettings).log_path == "/main"


def test_braces_and_any_suffix(tmp_path: Path) -> None:
    (tmp_path / "auth.conf.ext").write_text("log_path = /ext\n")
    config = loaded(
        tmp_path, main="!include {a,b}.conf\n!include *.ext\n", a="mail_driver = a\n", b="mail_fsync = never\n"
    )
    assert config.section(MailSettings).mail_driver == "a"
    assert config.section(MailSettings).mail_fsync == "never"
    assert config.section(LoggingSettings).log_path == "/ext"


def test_the_same_section_in_two_files_is_one(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        main="!include {a,b}.conf\n",
        a="service imap {\n  process_limit = 3\n}\n",
        b="service imap {\n  client_limit = 4\n}\n",
    )
    assert (config.services["imap"].process_limit, config.services["imap"].client_limit) == (3, 4)


def test_a_missing_file_may_be_tried(tmp_path: Path) -> None:
    assert loaded(tmp_path, main="!include_try none.conf\n!include_try none.d/*.conf\n").warnings == ()


@pytest.mark.parametrize(
    ("texts", "file", "line", "part"),
    [
        ({"main": "\n!include none.conf\n"}, "main", 2, "No matches"),
        ({"main": "!include main.conf\n"}, "main", 1, "Recursive include file"),
        ({"main": "!include a.conf\n", "a": "\n!include main.conf\n"}, "a", 2, "Recursive include file"),
        ({"main": "!include_try a.conf\n", "a": "log_pat = x\n"}, "a", 1, "Did you mean log_path?"),
        ({"main": "service imap {\n!include a.conf\n}\n", "a": "}\n"}, "a", 1, "Unexpected '}'"),
        ({"main": "!include a.conf\n", "a": "service imap {\n"}, "a", 1, "Missing '}'"),
        ({"main": "\nservice imap {\n  unix_listener x {\n  }\n"}, "main", 2, "Missing '}'"),
        ({"main": "group @a b {\n!include a.conf\n}\n", "a": ""}, "main", 2, "A group cannot include a file"),
        ({"main": "hostname = <none.txt\n"}, "main", 1, "Couldn't open file"),
        ({"main": "!include {" + ",".join("ab" * 600) + "}\n"}, "main", 1, "too many names"),
    ],
)
def test_errors(tmp_path: Path, texts: dict[str, str], file: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **texts)
    assert part in caught.value.why
    assert (caught.value.file, caught.value.line) == (str(tmp_path / f"{file}.conf"), line)


def test_an_unclosed_section_says_where_it_began(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"section started at .*main.conf:2"):
        loaded(tmp_path, main="\nservice imap {\n")


def test_content_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("mail.example.org # $ENV:X")
    config = loaded(tmp_path, main="hostname = <name.txt\nssl_server {\n  cert_file = <cert.pem\n}\n")
    assert config.section(MasterSettings).hostname == "mail.example.org # $ENV:X"
    assert config.section(SslSettings).ssl_server_cert_file == str(tmp_path / "cert.pem")


def test_a_heredoc_is_literal(tmp_path: Path) -> None:
    config = loaded(tmp_path, main="hostname = <<END\n$SET:base_dir # x\n}\nEND\nlog_path = /x\n")
    assert config.section(MasterSettings).hostname == "$SET:base_dir # x\n}\n"
    with pytest.raises(ConfigError, match="A heredoc is not possible"):
        loaded(tmp_path, main="protocols = <<END\nimap\nEND\n")


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too large"):
        loaded(tmp_path, main="#" * (files.MAX_FILE_OCTETS + 1))
    (tmp_path / "main.conf").write_bytes(b"\n\nlog_path = \xff\n")
    with pytest.raises(ConfigError, match="not valid UTF-8") as caught:
        load(str(tmp_path / "main.conf"), environ={})
    assert caught.value.line == 3


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot be read: Is a directory"):
        load(str(tmp_path), environ={})


def test_depth_is_bounded(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.conf").write_text(f"!include {number + 1}.conf\n")
    (tmp_path / "30.conf").write_text("")
    with pytest.raises(ConfigError, match="Includes nest too deep"):
        load(str(tmp_path / "0.conf"), environ={})
    with pytest.raises(ConfigError, match="Sections nest too deep"):
        loaded(tmp_path, main="imap_id_send {\n" * 100)


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for number in range(files.MAX_FILES + 1):
        (tmp_path / "d" / f"{number}.conf").write_text("")
    with pytest.raises(ConfigError, match="Too many included files"):
        loaded(tmp_path, main="!include d/*.conf\n")


def test_an_unreadable_file_is_an_error_or_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sub.conf").mkdir()
    with pytest.raises(ConfigError, match="Couldn't open include file"):
        loaded(tmp_path, main="!include sub.conf\n")
    config = loaded(tmp_path, main="!include_try sub.conf\nlog_path = /x\n")
    assert config.section(LoggingSettings).log_path == "/x"
    assert "Couldn't open include file" in config.warnings[0]
