"""The ``doveconf`` command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roost.settings import Config, load
from roost.settings.doveconf import EX_CONFIG, EX_USAGE, main
from roost.settings.schema import AREAS

TEXT = r"""
base_dir = "/srv/a b"
hostname = $ENV:ROOST_HOST
log_timestamp = "%b # "
mail_home = /srv/%{user | username}
shutdown_clients = yes
haproxy_trusted_networks = 10.0.0.0/8
imap_id_send {
  vendor = "us # you"
  "odd key" = x
}
login_greeting = <<END
two
lines
END
protocol imap {
  mail_max_userip_connections = 7
  imap_client_workarounds {
    delay-newmail = yes
  }
}
remote 10.0.0.0/8 {
  protocol imap {
    mail_fsync = always
  }
}
local_name *.example.org {
  ssl_server {
    cert_file = /x.pem
  }
}
service imap {
  process_limit = 16
  client_limit = 55
  inet_listener imap {
    listen = 127.0.0.1 ::1
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
  }
}
passdb static {
  password = swordfish
}
ssl_server_key_password = swordfish
passdb_default_password_scheme = PLAIN
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ROOST_HOST", "mail.example.org")
    (tmp_path / "roost.conf").write_text(TEXT)
    return str(tmp_path / "roost.conf")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.split("\n")[:-1]


def same(one: Config, other: Config) -> bool:
    facts: list[dict[str, str]] = [
        {},
        {"protocol": "imap"},
        {"protocol": "imap", "remote_ip": "10.1.1.1"},
        {"local_name": "a.example.org"},
    ]
    return (
        one.services == other.services
        and one.passdbs == other.passdbs
        and one.mailboxes == other.mailboxes
        and all(one.section(area, **fact) == other.section(area, **fact) for area in AREAS for fact in facts)
    )


@pytest.mark.parametrize("which", [[], ["-n"], ["-a"], ["-N"], ["-x"]])
@pytest.mark.parametrize("form", ["conf", "toml"])
def test_what_is_printed_loads_to_the_same_values(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], which: list[str], form: str
) -> None:
    lines = run(capsys, "-c", path, "-P", *which, "-F", form)
    again = tmp_path / f"again.{form}"
    again.write_text("\n".join(lines) + "\n")
    assert same(load(str(again)), load(path))


def test_only_differences_are_shown(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "-c", path)
    assert "base_dir = /srv/a b" in lines
    assert 'log_timestamp = "%b # "' in lines
    assert not any("shutdown_clients" in line or "process_limit" in line for line in lines)
    assert "  client_limit = 55" in lines
    assert lines[0].startswith("# ") and lines[0].endswith(f": {path}")


def test_places_are_shown_where_asked(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "-c", path, "-n")
    assert f"hostname = $ENV:ROOST_HOST  # {path}:3" in lines
    assert f"  client_limit = 55  # {path}:{TEXT.split(chr(10)).index('  client_limit = 55') + 1}" in lines
    assert "hostname = mail.example.org" in run(capsys, "-c", path, "-x")


def test_set_in_the_files_though_default(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "-c", path, "-N")
    assert "shutdown_clients = yes" in lines
    assert "  process_limit = 16" in lines
    assert not any("state_dir" in line for line in lines)


def test_all_and_defaults(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "state_dir = /var/lib/roost" in run(capsys, "-c", path, "-a")
    lines = run(capsys, "-c", "/nonexistent", "-d")
    assert "base_dir = /run/roost" in lines
    assert "  process_limit = 16" in lines


def test_secrets_are_hidden(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["-n"], ["-a"], ["-x"], ["-F", "toml"], ["passdb"], ["-h", "ssl_server_key_password"]):
        assert "swordfish" not in "\n".join(run(capsys, "-c", path, *arguments)), arguments
    assert "ssl_server_key_password = # hidden, use -P to show it" in run(capsys, "-c", path)
    assert run(capsys, "-c", path, "-P", "-h", "ssl_server_key_password") == ["swordfish"]


def test_secrets_inside_values_are_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.conf").write_text(
        "hostname = http://me:swordfish@host/\nuserdb static {\n  fields {\n    pass = swordfish\n  }\n}\n"
    )
    text = "\n".join(run(capsys, "-c", str(tmp_path / "c.conf")))
    assert "swordfish" not in text
    assert "#hidden_use-P_to_show#" in text


def test_names(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "-c", path, "state_dir", "shutdown_clients") == [
        "state_dir = /var/lib/roost",
        "shutdown_clients = yes",
    ]
    assert run(capsys, "-c", path, "service/imap/client_limit") == ["service imap {", "  client_limit = 55", "}"]
    assert run(capsys, "-c", path, "-h", "service/imap/client_limit") == ["55"]
    assert run(capsys, "-c", path, "-h", "service/imap/inet_listener/imap/listen") == ["127.0.0.1 ::1"]
    assert run(capsys, "-c", path, "-h", "hostname") == ["mail.example.org"]
    assert run(
        capsys, "-c", path, "-h", "service/auth/unix_listener/\\svar\\sspool\\spostfix\\sprivate\\sauth/mode"
    ) == ["0660"]
    assert "  process_min_avail = 2" in run(capsys, "-c", path, "service/imap")
    assert [line for line in run(capsys, "-c", path, "service") if line.startswith("service ")] == [
        f"service {name} {{" for name in ("anvil", "auth", "auth-worker", "imap", "lmtp", "notify")
    ]
    assert "ssl_server_prefer_ciphers = client" in run(capsys, "-c", path, "ssl_server")


def test_filters(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "-c", path, "-h", "mail_fsync") == ["optimized"]
    facts = ["-f", "protocol=imap", "-f", "remote=10.1.1.1"]
    assert run(capsys, "-c", path, *facts, "-h", "mail_fsync") == ["always"]
    lines = run(capsys, "-c", path, *facts)
    assert "mail_max_userip_connections = 7" in lines
    assert not any(line.startswith("protocol ") for line in lines)


def test_overrides(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "-c", path, "-o", "mail_driver=memory", "-h", "mail_driver") == ["memory"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nothing"], "Unknown setting or section: nothing"),
        (["mail_drivr"], "Did you mean mail_driver?"),
        (["service/nothing"], "(there are: anvil, auth, auth-worker, imap, lmtp, notify)"),
        (["service/nothing/user"], "(there are: anvil, auth, auth-worker, imap, lmtp, notify)"),
        (["a/b"], "Unknown setting or section: a/b"),
        (["-h", "base_dir", "state_dir"], "Multiple settings matched with -h parameter"),
        (["-h", "service"], "Multiple settings matched with -h parameter"),
        (["-h"], "-h needs a NAME"),
        (["-f", "protocol"], "-f parameters must be in key=value format"),
        (["-f", "user=x"], "-f user: Unknown filter key"),
        (["-o", "nothing=1"], "Unknown setting: nothing"),
    ],
)
def test_wrong_names(path: str, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str) -> None:
    assert main(["-c", path, *arguments]) == EX_CONFIG
    captured = capsys.readouterr()
    assert captured.err.startswith("doveconf: Fatal: ")
    assert part in captured.err
    assert captured.out == ""


def test_a_wrong_configuration_is_told_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.conf"
    path.write_text("mail_drivr = x\nlog_path = /x\nssl = perhaps\n")
    assert main(["-c", str(path)]) == EX_CONFIG
    first, second = capsys.readouterr().err.rstrip("\n").split("\n")
    assert first.startswith(f"doveconf: Fatal: Error in configuration file {path} line 1: mail_drivr: Unknown setting")
    assert first.endswith("(Did you mean mail_driver?)")
    assert second.startswith(f"doveconf: Error: Error in configuration file {path} line 3: ssl: Invalid value: perhaps")


def test_warnings_go_to_standard_error_unless_unwanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.conf"
    path.write_text("default_idle_kill = 1m\n")
    assert main(["-c", str(path)]) == 0
    assert capsys.readouterr().err == (
        f"doveconf: Warning: Obsolete setting in {path}:1: default_idle_kill has been renamed to "
        "default_idle_kill_interval\n"
    )
    assert main(["-c", str(path), "-w"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["-z"], ["-n", "-a"], ["-F", "xml"], ["-c"]])
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == EX_USAGE


def test_it_starts_without_asyncio_and_sockets() -> None:
    code = (
        "import sys; from roost.settings.doveconf import main; main(['-d', '-w']);"
        "assert not {'asyncio', 'socket', 'ssl', 'toml', 'uvloop'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)
