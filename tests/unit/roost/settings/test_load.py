"""Loading whole configurations: what holds, where, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import Config, load
from roost.settings.schema import (
    ImapSettings,
    InetListener,
    LoggingSettings,
    MailSettings,
    MasterSettings,
    SslSettings,
    UnixListener,
)


def loaded(tmp_path: Path, text: str, *overrides: str, environ: dict[str, str] | None = None) -> Config:
    path = tmp_path / "roost.conf"
    path.write_text(text)
    return load(str(path), overrides, {} if environ is None else environ)


def test_defaults_run_without_a_line(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert list(config.services) == ["anvil", "auth", "auth-worker", "imap", "lmtp", "notify"]
    imap = config.services["imap"]
    assert (imap.process_min_avail, imap.process_limit, imap.client_limit) == (2, 16, 1000)
    assert imap.listeners[0] == InetListener("imap", "", "0.0.0.0", 143)
    assert imap.listeners[1] == InetListener("imap", "", "::", 143)
    assert imap.listeners[2] == InetListener("imaps", "", "0.0.0.0", 993, ssl=True)
    assert config.services["lmtp"].listeners == (UnixListener("/run/roost/lmtp", "", 0o666),)
    assert config.services["auth"].idle_kill_interval_secs is None
    assert config.section(MailSettings).mail_max_message_octets == 50 << 20
    assert [mailbox.name for mailbox in config.mailboxes] == ["Drafts", "Sent", "Junk", "Trash", "Archive"]
    assert config.mailboxes[1].special_use == "\\Sent"
    assert config.non_defaults() == []
    assert config.warnings == ()


def test_a_config_survives_pickling(tmp_path: Path) -> None:
    config = loaded(tmp_path, "protocol imap {\n  mail_max_userip_connections = 7\n}\nbase_dir = /x\n")
    config.section(ImapSettings, service="imap", protocol="imap")
    copy = pickle.loads(pickle.dumps(config))
    assert copy.path == config.path
    assert copy.section(MailSettings, protocol="imap").mail_max_userip_connections == 7
    assert copy.services == config.services


def test_sections_are_found_again_not_built_again(tmp_path: Path) -> None:
    config = loaded(tmp_path, "remote 10.0.0.0/8 {\n  mail_max_userip_connections = 7\n}\n")
    first = config.section(MailSettings, remote_ip="10.1.1.1")
    assert config.section(MailSettings, remote_ip="10.2.2.2") is first
    assert config.section(MailSettings, remote_ip="192.0.2.1") is not first


def test_dovecot_login_service_is_the_imap_service(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        dovecot_config_version = 2.4.1
        dovecot_storage_version = 2.4.1
        service imap-login {
          process_min_avail = 4
          inet_listener imap {
            port = 1143
            listen = 127.0.0.1
          }
          inet_listener imaps {
            port = 0
          }
        }
        """,
    )
    assert config.services["imap"].listeners == (InetListener("imap", "", "127.0.0.1", 1143),)
    assert config.services["imap"].process_min_avail == 2
    assert "process_min_avail of service imap-login has no effect" in config.warnings[0]


def test_empty_sections_of_dovecot_mean_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, "plugin {\n  #quota = x\n}\ndict {\n}\n").non_defaults() == []


def test_settings_that_change_nothing_are_ignored_with_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, "first_valid_gid = 1000\n")
    assert "first_valid_gid has no effect in Roost" in config.warnings[0]
    assert config.non_defaults() == []


SKELETON = """
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols {
  imap = yes
  lmtp = yes
}
mail_driver = sqlite
mail_path = ~/mail.db
ssl_server {
  cert_file = /etc/ssl/mail.pem
  key_file = /etc/ssl/private/mail.key
}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
service imap-login {
  process_min_avail = 4
  restart_request_count = unlimited
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
  }
}
!include_try conf.d/*.conf
"""


def test_a_configuration_of_dovecot_2_4_loads(tmp_path: Path) -> None:
    config = loaded(tmp_path, SKELETON)
    assert config.section(MasterSettings).protocols == ("imap", "lmtp")
    assert config.section(SslSettings).ssl_server_key_file == "/etc/ssl/private/mail.key"
    assert config.passdbs[0].passwd_file_path == "/etc/dovecot/users"
    assert UnixListener("/var/spool/postfix/private/auth", "", 0o660, "postfix") in config.services["auth"].listeners
    assert len(config.warnings) == 2


def test_services_of_dovecot_are_passed_over_with_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, "service indexer-worker {\n  unix_listener x {\n    mode = 0600\n  }\n}\n")
    assert "service indexer-worker has no counterpart in Roost" in config.warnings[0]
    assert list(config.services) == ["anvil", "auth", "auth-worker", "imap", "lmtp", "notify"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("mail_hom = /x", 1, "Unknown setting: mail_hom (Did you mean mail_home?)"),
        ("mail_location = maildir:~/x", 1, "Dovecot that Roost does not have (write mail_driver and mail_path)"),
        ("\nimap_compress_on_proxy = yes", 2, "setting of Dovecot that Roost does not have"),
        ("metric foo {\n  filter = x\n}", 1, "section of Dovecot that Roost does not have"),
        ("servce imap {\n}", 1, "Unknown section name: servce (Did you mean service?)"),
        ("service imap {\n  proces_limit = 1\n}", 2, "Did you mean process_limit?"),
        ("service imapp {\n  process_limit = 1\n}", 1, "service imapp is not one of Roost's"),
        ("service {\n}", 1, "service { } is missing section name"),
        ("passdb {\n  driver = static\n}", 1, "missing section name (write passdb NAME {)"),
        ("ssl_server x {\n}", 1, "ssl_server { } must not have a section name"),
        ("ssl_server = x", 1, "Setting is a named filter, use 'ssl_server {'"),
        ("passdb = x", 1, "Setting is a named list filter, use 'passdb NAME {'"),
        ("imap_id_send = x", 1, "Setting is a string list, use 'imap_id_send {'"),
        ("imap_id_send x {\n}", 1, "cannot have a value for the section"),
        ("base_dir {\n}", 1, "Setting base_dir cannot be used as a section"),
        ("protocol imap {\n  base_dir = /x\n}", 2, "cannot be set inside a protocol"),
        ("protocol foo {\n}", 1, "Unknown protocol: foo"),
        ("protocol imap {\n  remote 10.0.0.0/8 {\n  }\n}", 2, "use remote { protocol { .. } } instead"),
        ("protocol imap {\n  protocol lmtp {\n  }\n}", 2, "Nested protocol { protocol { .. } } block not allowed"),
        ("local 10.0.0.0/8 {\n  local 192.168.0.0/16 {\n  }\n}", 2, "requires 192.168.0.0/16 to be inside"),
        ("local_name a b {\n}", 1, "must be quoted"),
        ('local_name "a b" {\n}', 1, "Multiple names no longer supported"),
        ("remote 10.0.0.0/33 {\n}", 1, "Invalid network mask: 10.0.0.0/33"),
        ("service imap {\n  service lmtp {\n  }\n}", 2, "service { .. } not allowed under service { .. }"),
        ("unix_listener x {\n}", 1, "allowed only under service NAME { .. }"),
        ("service imap {\n  unix_listener x {\n    process_limit = 3\n  }\n}", 3, "no meaning inside unix_listener x"),
        ("namespace inbox {\n  mail_path = /x\n}", 2, "no meaning inside namespace inbox"),
        ("protocols = $protocols lmtp", 1, "$protocols is not a variable: write $SET:protocols"),
        ("plugin {\n  quota = x\n  b = c\n}", 1, "write those that Roost has at top level"),
        ("protocols = imap pop3", 1, "Invalid value: pop3 (use any of: imap, lmtp)"),
        ("auth_mechanisms = plain GSSAPI", 1, "Invalid value: GSSAPI (Kerberos is left out)"),
        ("auth_mechanisms = otp", 1, "Invalid value: otp (one-time passwords by RFC 2444 are left out)"),
        ("auth_mechanisms = ntlm", 1, "Invalid value: ntlm (Windows logins are left out"),
        ("auth_mechanisms = nonsense", 1, "Invalid value: nonsense (use any of: plain, login, scram-sha-256-plus"),
        ("ssl = maybe", 1, "Invalid value: maybe (use one of: yes, no, required)"),
        ("shutdown_clients = true", 1, "Invalid boolean value: true (use yes or no)"),
        ("imap_login_timeout = 5", 1, "Time interval '5' is missing units"),
        ("service imap {\n  process_limit = 0\n}", 2, "must be at least 1"),
        ("service imap {\n  restart_request_count = 0\n}", 2, '(did you mean "unlimited"?)'),
        ("service imap {\n  vsz_limit = 1k\n}", 2, "must be at least 1M"),
        ("service imap {\n  process_min_avail = 17\n}", 2, "process_min_avail is greater than process_limit"),
        ("service auth {\n  process_limit = 2\n}", 2, "process_limit must be 1"),
        ("service imap {\n  reuse_port = yes\n}", 2, "process_min_avail must be equal to process_limit"),
        ("service imap {\n  chroot = x\n  drop_priv_before_exec = yes\n}", 3, "can't be used with chroot"),
        ("service imap {\n  inet_listener x {\n    port = 993\n  }\n}", 2, "duplicate listener: 0.0.0.0:993"),
        ("service imap {\n  unix_listener lmtp {\n  }\n}", 2, "duplicate listener: /run/roost/lmtp"),
        ("service imap {\n  inet_listener imap {\n    listen = foo\n  }\n}", 3, "Invalid address: foo"),
        ("base_dir = var/run", 1, "must be an absolute path"),
        ("listen =", 1, "listen can't be set empty"),
        ("ssl_server {\n  key_file = inline:xyz\n}", 2, "inline: is not possible"),
        ("dovecot_config_version = 2.4.1\ndovecot_config_version = 2.4.2", 2, "can't be changed once set"),
        ("namespace other {\n}", 1, "there is one namespace"),
        ("mail_home = /x/%{user", 1, "Expecting '|' or '}'"),
        ("mail_home = /x/%{user | uper}", 1, "Unknown filter 'uper'"),
        ("mail_home = /x/%{user | encrypt(key='x')}", 1, "do not exist in Roost"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text + "\n")
    assert part in caught.value.why
    assert caught.value.file == str(tmp_path / "roost.conf")
    assert caught.value.line == line
    assert f"Error in configuration file {tmp_path}/roost.conf line {line}: " in str(caught.value)


def test_all_wrong_settings_are_named_in_one_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "aaa = 1\nbbb = 2\nccc = 3\n")
    assert caught.value.key == "aaa"
    assert [note.partition(" line ")[2][:6] for note in caught.value.__notes__] == ["2: bbb", "3: ccc"]


def test_a_missing_main_file_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist \(copy the distribution's roost.conf"):
        load(str(tmp_path / "none.conf"))


@pytest.mark.parametrize(
    ("old", "schema", "attribute", "value"),
    [
        ("ssl_cert = </etc/c.pem", SslSettings, "ssl_server_cert_file", "/etc/c.pem"),
        ("ssl_prefer_server_ciphers = yes", SslSettings, "ssl_server_prefer_ciphers", "server"),
        ("default_idle_kill = 5 mins", MasterSettings, "default_idle_kill_interval_secs", 300),
    ],
)
def test_older_spellings_are_taken_with_a_warning(
    tmp_path: Path, old: str, schema: type, attribute: str, value: object
) -> None:
    config = loaded(tmp_path, old + "\n")
    assert getattr(config.section(schema), attribute) == value
    assert config.warnings[0].startswith(
        f"Obsolete setting in {tmp_path}/roost.conf:1: {old.split()[0]} has been renamed"
    )


def test_older_service_spellings(tmp_path: Path) -> None:
    config = loaded(tmp_path, "service imap {\n  service_count = 0\n  idle_kill = 30s\n}\n")
    assert config.services["imap"].restart_request_count == 0
    assert config.services["imap"].idle_kill_interval_secs == 30
    assert len(config.warnings) == 2


def test_a_broken_reload_leaves_the_old_configuration_alone(tmp_path: Path) -> None:
    config = loaded(tmp_path, "log_path = /var/log/a\n")
    before = config.section(LoggingSettings)
    with pytest.raises(ConfigError):
        loaded(tmp_path, "log_path = /var/log/b\n}\n")
    assert config.section(LoggingSettings) is before
    assert before.log_path == "/var/log/a"
