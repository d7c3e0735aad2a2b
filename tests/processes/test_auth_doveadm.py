"""doveadm, and Dovecot's own doveadm, against the real auth room."""

from __future__ import annotations

import imaplib
import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.auth_room import USERS, AuthRoomProcess
from kit.instance import Instance
from kit.wait import wait_for

EXTRA = "hidden:{PLAIN}pw::::::allow_nets=192.0.2.0/24 nologin reason=Moved\nmaster:{PLAIN}mpw::::::\nbare:{PLAIN}pw\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    with AuthRoomProcess(tmp_path_factory.mktemp("auth"), users=USERS + EXTRA) as process:
        yield process


def doveadm(room: AuthRoomProcess, *argv: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "services.doveadm.cli", "-c", str(room.configuration), *argv],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_auth_test(room: AuthRoomProcess) -> None:
    good = "passdb: U1 auth succeeded\nextra fields:\n  user=u1\n  original_user=U1\n"
    assert doveadm(room, "auth", "test", "U1", "pw") == (0, good, "")
    assert doveadm(room, "auth", "test", "-A", "login", "U1", stdin="pw\n") == (0, good, "")
    bad = "passdb: u1 auth failed\nextra fields:\n  user=u1\n"
    assert doveadm(room, "auth test", "u1", stdin="no\n") == (77, bad, "")
    assert doveadm(room, "auth", "test", "nobody", "pw")[0] == 77


def test_auth_test_says_more_of_the_client(room: AuthRoomProcess) -> None:
    assert doveadm(room, "auth", "test", "hidden", "pw")[0] == 77
    status, out, _ = doveadm(room, "auth", "test", "-x", "rip=192.0.2.9", "-x", "service=imap", "hidden", "pw")
    assert status == 0 and out.endswith("  user=hidden\n  nologin=yes\n  reason=Moved\n")
    for info in ("rip=nonsense", "lport=99999"):
        assert doveadm(room, "auth", "test", "-x", info, "u1", "pw")[0] == 64


def test_auth_test_refusals(room: AuthRoomProcess) -> None:
    assert doveadm(room, "auth", "test", "-M", "master", "u1", "mpw")[0] == 77, "no master passdbs yet"
    status, _, err = doveadm(room, "auth", "test", "-A", "NOSUCH", "u1", "pw")
    assert status == 65 and "there are: PLAIN LOGIN" in err
    assert doveadm(room, "auth", "test", "-a", "/nonexistent", "u1", "pw")[0] == 75
    assert doveadm(room, "auth", "test", "-a", room.path("auth-userdb"), "u1", "pw")[0] == 75
    assert doveadm(room, "auth", "test", "u" * 20000, "pw")[0] == 65


def test_auth_login(room: AuthRoomProcess) -> None:
    good = (
        "passdb: U1 auth succeeded\nextra fields:\n  user=u1\n  original_user=U1\n"
        f"userdb user: u1\nuserdb extra fields:\n  uid=1001\n  gid=100\n  home={room.folder}/mail/u1\n"
    )
    status, out, err = doveadm(room, "auth", "login", "U1", "pw")
    assert (status, err) == (0, "") and out == good + "  auth_mech=PLAIN\n  original_user=U1\n"
    status, out, _ = doveadm(room, "auth", "login", "-A", "login", "-x", "local_name=mx", "U1", stdin="pw\n")
    assert status == 0 and out == good + "  auth_mech=LOGIN\n  original_user=U1\n  local_name=mx\n"
    bad = "passdb: u1 auth failed\nextra fields:\n  user=u1\n"
    assert doveadm(room, "auth", "login", "u1", "no") == (77, bad, "")
    assert doveadm(room, "auth", "login", "-m", "/nonexistent", "u1", "pw")[0] == 75
    assert doveadm(room, "auth", "login", "-a", room.path("auth-client"), "u1", "pw")[0] == 75, "keeps no logins"


def test_user(room: AuthRoomProcess) -> None:
    home = f"{room.folder}/mail"
    assert doveadm(room, "user", "U1") == (0, f"field\tvalue\nuid\t1001\ngid\t100\nhome\t{home}/u1\n", "")
    assert doveadm(room, "user", "-f", "home", "u2", "u3") == (0, f"{home}/u2\n\n{home}/u3\n", "")
    assert doveadm(room, "user", "-f", "nosuch", "u2") == (0, "", "")
    assert doveadm(room, "user", "-e", "%{user | upper} %{uid} %{home}", "u2") == (0, f"U2 1002 {home}/u2\n", "")
    status, out, _ = doveadm(room, "user", "-u", "u1")
    assert (
        status == 0
        and out == f"userdb: u1\n  user      : u1\n  uid       : 1001\n  gid       : 100\n  home      : {home}/u1\n"
    )
    assert doveadm(room, "-f", "json", "user", "u1")[1] == f'{{"u1":{{"uid":"1001","gid":"100","home":"{home}/u1"}}}}'


def test_unknown_users(room: AuthRoomProcess) -> None:
    status, out, err = doveadm(room, "user", "nosuch")
    assert (status, out, err) == (67, "field\tvalue\n\n", "Error: userdb lookup: user nosuch doesn't exist\n")
    status, out, _ = doveadm(room, "-f", "json", "user", "nosuch")
    assert status == 67 and out == '{"nosuch":{"error":"userdb lookup: user nosuch doesn\'t exist"}}'
    assert doveadm(room, "auth", "lookup", "nosuch")[0] == 67


def test_lists_of_users(room: AuthRoomProcess) -> None:
    status, out, _ = doveadm(room, "user", "*")
    assert status == 0 and out.split() == [*(f"u{number}" for number in range(1, 10)), "hidden", "master", "bare"]
    assert doveadm(room, "user", "U?", "b*")[1].split() == [*(f"u{number}" for number in range(1, 10)), "bare"]
    assert doveadm(room, "user", "*@nowhere") == (0, "", "")
    assert doveadm(room, "-f", "json", "user", "b*")[1] == '{"userList":["bare"]}'
    assert doveadm(room, "user", "u*", "bare")[0] == 64


def test_auth_lookup(room: AuthRoomProcess) -> None:
    out = (
        "passdb: u1\n  user      : u1\n\npassdb: hidden\n  user      : hidden\n  nologin   : yes\n  reason    : Moved\n"
    )
    assert doveadm(room, "auth", "lookup", "u1", "hidden") == (0, out, "")
    assert doveadm(room, "auth", "lookup", "-f", "reason", "hidden") == (0, "Moved\n", "")


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("doveadm") is None, reason="Dovecot's doveadm is not installed")
def test_dovecots_doveadm_speaks_to_our_sockets(room: AuthRoomProcess) -> None:
    def theirs(*argv: str) -> tuple[int, str]:
        done = subprocess.run(["doveadm", "-O", *argv], capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout

    client, userdb = room.path("auth-client"), room.path("auth-userdb")
    assert theirs("auth", "test", "-a", client, "u1", "pw") == (
        0,
        "passdb: u1 auth succeeded\nextra fields:\n  user=u1\n",
    )
    assert theirs("auth", "test", "-a", client, "u1", "no")[0] == 77
    assert "home      : " + f"{room.folder}/mail/u1" in theirs("user", "-u", "-a", userdb, "u1")[1]
    assert theirs("user", "-a", userdb, "u*")[1].split() == [f"u{number}" for number in range(1, 10)]
    assert theirs("user", "-a", userdb, "nosuch")[0] == 67
    assert "reason    : Moved" in theirs("auth", "lookup", "-a", userdb, "hidden")[1]
    status, out = theirs("auth", "login", "-a", room.path("auth-login"), "-m", room.path("auth-master"), "u1", "pw")
    assert status == 0 and "auth_mech=PLAIN" in out and f"home={room.folder}/mail/u1" in out
    assert theirs("auth", "login", "-a", room.path("auth-login"), "-m", room.path("auth-master"), "u1", "no")[0] == 77
    assert theirs("user", "-a", userdb, "-f", "uid", "u2") == (0, "1002\n")
    assert theirs("user", "-a", userdb, "-x", "service=imap", "-x", "rip=192.0.2.9", "-f", "gid", "u2") == (0, "100\n")
    assert theirs("auth", "lookup", "-a", userdb, "-x", "service=smtp", "-f", "reason", "hidden") == (0, "Moved\n")
    assert theirs("auth", "lookup", "-a", userdb, "nosuch")[0] == 67
    assert theirs("auth", "test", "-a", client, "-x", "rip=192.0.2.9", "hidden", "pw")[0] == 0
    assert theirs("auth", "test", "-a", client, "-M", "master", "u1", "mpw")[0] == 77, "there is no master passdb"
    assert theirs("auth", "cache", "flush", "-a", room.path("auth-master"), "u1") == (0, "0 cache entries flushed\n")


def test_doveadm_and_a_whole_server(tmp_path: Path) -> None:
    """who, status, reload and stop with the real master, anvil and a logged-in session."""
    with Instance(tmp_path) as roost:
        fixed = ["-c", str(roost.config_file), "-o", f"base_dir={roost.base_dir}"]

        def run(*argv: str) -> tuple[int, str, str]:
            command = [sys.executable, "-I", "-m", "services.doveadm.cli", *fixed, *argv]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            return done.returncode, done.stdout, done.stderr

        assert run("who")[1].splitlines() == ["username # service (pids) (ips)"]
        context = ssl.create_default_context(cafile=str(roost.ca_file))
        with imaplib.IMAP4_SSL("localhost", roost.imaps_port, ssl_context=context, timeout=20) as imap:
            imap.login("u1", "pw")
            rows = wait_for(lambda: json.loads(run("-f", "json", "who", "-1", "u*")[1]), 20, "the session at anvil")
            assert [(row["username"], row["service"], row["ip"]) for row in rows] == [("u1", "imap", "127.0.0.1")]
            assert int(rows[0]["pid"]) in roost.pids("imap")
        services = {row["name"]: row for row in json.loads(run("-f", "json", "service", "status")[1])}
        assert set(services) == {"imap", "lmtp", "auth", "auth-worker", "anvil", "notify"}
        assert services["auth"]["process_count"] == 1
        assert str(roost.pids("auth").pop()) in run("process", "status", "auth")[1]
        assert run("auth", "test", "u1", "pw")[0] == 0
        assert run("user", "-f", "home", "u1")[1] == f"{roost.home('u1')}\n"
        assert run("service", "stop", "nosuch")[0] == 68
        before = roost.config_file.read_text()
        roost.config_file.write_text(before + "\nnosuch_setting = 1\n")
        status, _, err = run("-c", str(roost.config_file), "reload")
        assert status == 78 and "nosuch_setting" in err
        roost.config_file.write_text(before)
        assert run("reload")[0] == 0
        assert run("auth", "test", "u1", "pw")[0] == 0
        assert run("stop") == (0, "", "")
        assert run("who")[0] == 75
        status, _, err = run("stop")
        assert status == 75 and "Roost is not running" in err
