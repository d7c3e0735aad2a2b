"""The auth room as a process, spoken to in raw lines: both protocols, their violations, delays and limits."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from kit.auth_room import AuthRoomProcess, b64, plain
from kit.wait import wait_for


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    with AuthRoomProcess(tmp_path_factory.mktemp("auth"), "auth_verbose = yes") as process:
        yield process


# --- the client protocol


def test_the_handshake_line_by_line(room: AuthRoomProcess) -> None:
    lines = room.lines("auth-client")
    assert lines.next() == "VERSION\t1\t4"
    lines.send("VERSION\t1\t2\nCPID\t4711\n")
    assert [lines.next() for _ in range(2)] == ["MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext"]
    assert lines.next() == f"SPID\t{room.pid}"
    assert re.fullmatch(r"CUID\t[1-9]\d*", lines.next())
    assert re.fullmatch(r"COOKIE\t[0-9a-f]{32}", lines.next())
    assert lines.next() == "DONE"
    reply = lines.ask(
        "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.9\tsecured\tresp="
        + plain("u1", "pw")
        + "\n"
    )
    assert reply == "OK\t1\tuser=u1"


def test_the_legacy_type_says_everything_at_once(room: AuthRoomProcess) -> None:
    lines = room.lines("auth-legacy")
    seen = []
    while "DONE" not in seen:
        seen.append(lines.next())
    assert seen[0] == "VERSION\t1\t4" and "MECH\tPLAIN\tplaintext" in seen
    assert lines.ask(f"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp={plain('u1', 'pw')}\n").startswith(
        "OK\t1"
    )


def test_cookies_and_connection_numbers_differ(room: AuthRoomProcess) -> None:
    texts = []
    for _ in range(3):
        lines = room.lines("auth-client")
        lines.send("VERSION\t1\t4\nCPID\t1\n")
        seen = []
        while "DONE" not in seen:
            seen.append(lines.next())
        texts.append("\n".join(seen))
    assert len(set(texts)) == 3


def test_plain_with_and_without_initial_response(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("AUTH\t1\tPLAIN\tservice=imap\n") == "CONT\t1\t"
    assert lines.ask(f"CONT\t1\t{plain('U2', 'pw')}\n") == "OK\t1\tuser=u2\toriginal_user=U2"
    assert lines.ask("AUTH\t2\tPLAIN\tservice=imap\tresp==\n").startswith("FAIL\t2")


def test_login_with_its_prompts(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("AUTH\t1\tlogin\tprotocol=imap\n") == "CONT\t1\t" + b64("Username:")
    assert lines.ask(f"CONT\t1\t{b64('u1')}\n") == "CONT\t1\t" + b64("Password:")
    assert lines.ask(f"CONT\t1\t{b64('pw')}\n") == "OK\t1\tuser=u1"
    assert lines.ask(f"AUTH\t2\tLOGIN\tservice=imap\tresp={b64('u1')}\n") == "CONT\t2\t" + b64("Password:")
    assert lines.ask(f"CONT\t2\t{b64('no')}\n") == "FAIL\t2\tuser=u1"


def test_unknown_user_and_wrong_password_look_alike(room: AuthRoomProcess) -> None:
    lines = room.client()
    wrong = lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'no')}\n")
    unknown = lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('xx', 'no')}\n")
    assert wrong == "FAIL\t1\tuser=u1" and unknown == "FAIL\t1\tuser=xx"


def test_a_login_socket_gives_the_userdb_with_the_ok(room: AuthRoomProcess) -> None:
    lines = room.client("auth-login", cpid=77)
    reply = lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tuserdb\tresp={plain('u1', 'pw')}\n")
    assert reply == f"OK\t1\tuser=u1\tuserdb_uid=1001\tuserdb_gid=100\tuserdb_home={room.folder}/mail/u1"
    other = room.client("auth-client")
    assert other.ask(f"AUTH\t1\tPLAIN\tservice=imap\tuserdb\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"


def test_many_requests_at_once_are_told_apart_by_their_ids(room: AuthRoomProcess) -> None:
    lines = room.client()
    batch = []
    for number in range(1, 501):
        user, password = f"u{number % 9 + 1}", "pw" if number % 2 else "no"
        batch.append(f"AUTH\t{number}\tPLAIN\tservice=imap\tresp={plain(user, password)}\n")
    lines.send("".join(batch))
    for reply in (lines.next().split("\t") for _ in range(500)):
        number = int(reply[1])
        assert reply[0] == ("OK" if number % 2 else "FAIL")
        assert reply[2] == f"user=u{number % 9 + 1}"


@pytest.mark.parametrize(
    "line",
    [
        "AUTH\n",
        "AUTH\t0\tPLAIN\tservice=imap\n",
        "AUTH\tx\tPLAIN\tservice=imap\n",
        "AUTH\t1\tPLAIN\n",
        "AUTH\t1\tPLAIN\tsecured\n",
        "AUTH\t1\tNOSUCH\tservice=imap\n",
        "AUTH\t1\tCRAM-MD5\tservice=imap\n",
        "AUTH\t1\tPLAIN\tservice=imap\tresp=AHUAcA==\tsecured\n",
        "AUTH\t1\tLOGIN\tservice=imap\nAUTH\t1\tLOGIN\tservice=imap\n",
        "CONT\n",
        "CONT\t1\n",
        "CANCEL\n",
        "CANCEL\tx\n",
        "NOSUCH\t1\n",
        "\n",
        "VERSION\t1\t4\n",
        "USER\t1\tu1\tservice=imap\n",
        "GET / HTTP/1.1\r\n\r\n",
        "A" * 20000,
        "AUTH\t1\tPLAIN\tservice=imap\tresp=" + "A" * 16384 + "\n",
    ],
)
def test_a_peer_that_breaks_the_protocol_is_disconnected(room: AuthRoomProcess, line: str) -> None:
    bystander = room.client()
    lines = room.client()
    lines.send(line)
    assert lines.closed()
    assert bystander.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n").startswith("OK")


@pytest.mark.parametrize("line", ["VERSION\t2\t0\n", "CPID\t1\n", "AUTH\t1\tPLAIN\tservice=x\n", "VERSION\n", "\0\0\n"])
def test_a_broken_handshake_is_disconnected(room: AuthRoomProcess, line: str) -> None:
    lines = room.lines("auth-client")
    lines.send(line)
    assert lines.closed()
    assert "BUG: Authentication client sent invalid input" in room.log()


def test_bad_base64_fails_that_request_only(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("AUTH\t1\tPLAIN\tservice=imap\tresp=*not base64*\n") == "FAIL\t1\tcode=invalid_base64"
    assert lines.ask("AUTH\t2\tLOGIN\tservice=imap\n").startswith("CONT\t2")
    assert lines.ask("CONT\t2\t%%%\n") == "FAIL\t2\tcode=invalid_base64"
    assert lines.ask(f"AUTH\t3\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t3\tuser=u1"


def test_continuations_nobody_waits_for(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("CONT\t9\tAAAA\n") == "FAIL\t9\treason=Authentication request timed out"


def test_cancel(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("AUTH\t1\tLOGIN\tservice=imap\n").startswith("CONT\t1")
    assert lines.ask("CANCEL\t1\n") == "CANCELLED\t1"
    assert lines.ask("CANCEL\t1\n") == "CANCELLED\t1"
    assert lines.ask(f"CONT\t1\t{b64('u1')}\n").startswith("FAIL\t1\treason=")
    old = room.client(minor=1)
    old.send("AUTH\t1\tLOGIN\tservice=imap\nCANCEL\t1\n")
    assert old.next().startswith("CONT\t1")
    assert old.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n").startswith("OK\t1")


def test_an_empty_initial_response_depends_on_the_minor_version(room: AuthRoomProcess) -> None:
    assert room.client(minor=1).ask("AUTH\t1\tPLAIN\tservice=imap\tresp=\n") == "CONT\t1\t"
    assert room.client(minor=2).ask("AUTH\t1\tPLAIN\tservice=imap\tresp=\n").startswith("FAIL\t1")


def test_login_sockets_know_their_clients_by_number(room: AuthRoomProcess) -> None:
    first = room.client("auth-login", cpid=501)
    for cpid in (0, 501):
        second = room.lines("auth-login")
        second.send(f"VERSION\t1\t4\nCPID\t{cpid}\n")
        assert second.closed()
    first.close()
    wait_for(lambda: _accepted(room, 501), what="the number is free again")
    room.client("auth-client", cpid=9).close()
    room.client("auth-client", cpid=9)


def _accepted(room: AuthRoomProcess, cpid: int) -> bool:
    lines = room.lines("auth-login")
    lines.send(f"VERSION\t1\t4\nCPID\t{cpid}\nAUTH\t1\tLOGIN\tservice=imap\n")
    while line := lines.next():
        if line.startswith("CONT"):
            break
    lines.close()
    return line != ""


NAMES = [
    "a\tb",
    "a\nb",
    "a\r\nOK\t1\tuser=root",
    "a\x01tb",
    "\x00",
    "\udcff\udcfe",
    "é",
    "../u1",
    "u1/",
    "%{user}",
    "u" * 9000,
    "",
    " u1",
    "u1@",
    "u1\u2028",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_that_break_lines_fail_like_unknown_ones(room: AuthRoomProcess, name: str) -> None:
    lines = room.client()
    reply = lines.ask(f"AUTH\t1\tLOGIN\tservice=imap\tsession=s1\tresp={b64(name) or '='}\n")
    if reply.startswith("CONT\t1\t" + b64("Username:")):
        reply = lines.ask("CONT\t1\t=\n")
    elif reply.startswith("CONT"):
        reply = lines.ask(f"CONT\t1\t{b64('pw')}\n")
    assert reply.startswith("FAIL\t1")
    assert "\tuser=root" not in reply and "temp_fail" not in reply
    assert lines.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t2\tuser=u1"
    assert all(line.startswith("auth") for line in room.log().splitlines()), "no name can start a log line"


@pytest.mark.parametrize("password", ["pw\t", "pw\n", "pw\x01", "pw\r", "", "x" * 9000, "\udcff", "pw\x00"])
def test_odd_passwords_fail(room: AuthRoomProcess, password: str) -> None:
    lines = room.client()
    assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', password)}\n").startswith("FAIL\t1")


def test_authorization_as_somebody_else_is_refused(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw', 'u2')}\n") == "FAIL\t1\tuser=u1"
    assert lines.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw', 'u1')}\n") == "OK\t2\tuser=u1"
    assert "Attempted master login with no master passdbs (trying to log in as user: u2)" in room.log()


def test_a_password_change_counts_at_the_next_login(room: AuthRoomProcess) -> None:
    lines = room.client()
    path = room.folder / "users"
    before = path.read_text()
    try:
        path.write_text(before + "fresh:{PLAIN}one::::::\n")
        assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('fresh', 'one')}\n").startswith("OK")
        path.write_text(before + "fresh:{PLAIN}two::::::\n")
        assert lines.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('fresh', 'one')}\n").startswith("FAIL")
        assert lines.ask(f"AUTH\t3\tPLAIN\tservice=imap\tresp={plain('fresh', 'two')}\n").startswith("OK")
    finally:
        path.write_text(before)


def test_a_missing_database_is_a_temporary_failure(room: AuthRoomProcess) -> None:
    path = room.folder / "users"
    moved = path.rename(room.folder / "users.away")
    try:
        lines = room.client("auth-login", cpid=601)
        assert (
            lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "FAIL\t1\tuser=u1\tcode=temp_fail"
        )
        assert room.master().ask("USER\t1\tu1\tservice=lmtp\n") == "FAIL\t1\tcode=temp_fail"
        assert "No such file or directory" in room.log()
    finally:
        moved.rename(path)


# --- the master protocol


def test_user_lookups(room: AuthRoomProcess) -> None:
    for name in ("auth-master", "auth-userdb"):
        lines = room.master(name)
        assert lines.ask("USER\t1\tU3\tservice=lmtp\n") == f"USER\t1\tu3\tuid=1003\tgid=100\thome={room.folder}/mail/u3"
        assert lines.ask("USER\t2\tnobody\tprotocol=lmtp\n") == "NOTFOUND\t2"
        assert lines.ask("USER\t3\t../u1\tprotocol=lmtp\n") == "NOTFOUND\t3"
        assert lines.ask("USER\t4\ta\x01tb\tprotocol=lmtp\n") == "NOTFOUND\t4"


def test_passdb_lookups_show_no_password(room: AuthRoomProcess) -> None:
    lines = room.master("auth-userdb")
    assert lines.ask("PASS\t1\tu1\tservice=doveadm\n") == "PASS\t1\tuser=u1"
    assert lines.ask("PASS\t2\tnobody\tservice=doveadm\n") == "NOTFOUND\t2"


def test_listing(room: AuthRoomProcess) -> None:
    lines = room.master()
    lines.send("LIST\t7\tservice=doveadm\n")
    assert sorted(lines.next() for _ in range(9)) == [f"LIST\t7\tu{number}" for number in range(1, 10)]
    assert lines.next() == "DONE\t7\t"
    lines.send("LIST\t8\tuser=U[1]\nLIST\t9\tuser=?3\n")
    assert [lines.next() for _ in range(3)] == ["DONE\t8\t", "LIST\t9\tu3", "DONE\t9\t"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("auth-userdb", "REQUEST\t1\t1\t1\tff\n"),
        ("auth-userdb", "NOSUCH\t1\n"),
        ("auth-master", "NOSUCH\t1\n"),
        ("auth-master", "CPID\t1\n"),
        ("auth-master", "USER\t1\tu1\n"),
        ("auth-master", "USER\t0\tu1\tservice=x\n"),
        ("auth-master", "REQUEST\t1\n"),
        ("auth-master", "LIST\n"),
        ("auth-userdb", "A" * 20000),
    ],
)
def test_a_broken_lookup_is_disconnected(room: AuthRoomProcess, name: str, line: str) -> None:
    lines = room.master(name)
    lines.send(line)
    assert lines.closed()


def test_request_takes_a_success_once(room: AuthRoomProcess) -> None:
    lines = room.lines("auth-login")
    lines.send("VERSION\t1\t4\nCPID\t711\n")
    seen = {}
    while (line := lines.next()) != "DONE":
        key, _, value = line.partition("\t")
        seen[key] = value
    cookie = seen["COOKIE"]
    assert lines.ask(f"AUTH\t5\tPLAIN\tservice=imap\tlocal_name=mx\tresp={plain('U4', 'pw')}\n").startswith("OK\t5")
    master = room.master()
    wrong = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    for request in (f"711\t5\t{wrong}", f"712\t5\t{cookie}", f"711\t6\t{cookie}", f"711\t5\t{cookie[:-1]}", "711\t5\t"):
        assert master.ask(f"REQUEST\t1\t{request}\n") == "FAIL\t1"
    reply = master.ask(f"REQUEST\t2\t711\t5\t{cookie}\tsession_pid=3\n")
    expected = (
        f"USER\t2\tu4\tuid=1004\tgid=100\thome={room.folder}/mail/u4\tauth_mech=PLAIN\toriginal_user=U4\tlocal_name=mx"
    )
    assert reply == expected
    assert master.ask(f"REQUEST\t3\t711\t5\t{cookie}\n") == "FAIL\t3"
    assert lines.ask(f"AUTH\t6\tPLAIN\tservice=imap\tresp={plain('u4', 'no')}\n").startswith("FAIL\t6")
    assert master.ask(f"REQUEST\t4\t711\t6\t{cookie}\n") == "FAIL\t4"


ASK_AS = """
import os, socket, sys
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[3])
s.sendall(b"VERSION\\t1\\t4\\nUSER\\t1\\tu1\\tservice=x\\nUSER\\t2\\tu2\\tservice=x\\nPASS\\t3\\tu1\\tservice=x\\nLIST\\t4\\tservice=x\\nUSER\\t5\\tnone\\tservice=x\\n")
got = b""
while got.count(b"\\n") < 7:
    got += s.recv(65536)
sys.stdout.write(got.decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_strangers_may_ask_the_userdb_socket_only_about_themselves(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("strangers")
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
        if parent.name.startswith("pytest-of-"):
            break
    with AuthRoomProcess(folder) as room:
        (folder / "run").chmod(0o755)

        def asked(mode: int) -> list[str]:
            os.chmod(room.path("auth-userdb"), mode)
            command = [sys.executable, "-I", "-S", "-c", ASK_AS, "1001", "4242", room.path("auth-userdb")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()[2:]

        replies = asked(0o666)
        assert replies[0].startswith("USER\t1\tu1\tuid=1001")
        assert replies[1:4] == ["FAIL\t2", "FAIL\t3", "DONE\t4\tfail"]
        assert replies[4] == "NOTFOUND\t5"
        assert "refused: the peer has uid 1001, the user uid 1002" in room.log()
        assert asked(0o777)[1].startswith("USER\t2\tu2")


# --- delays, limits, floods


def test_a_failure_is_answered_after_its_delay_and_a_success_at_once(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 1s") as room:
        lines = room.client()
        started = time.monotonic()
        lines.send(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'no')}\n")
        lines.send(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n")
        assert lines.next() == "OK\t2\tuser=u1"
        assert lines.ask("CONT\t1\tAAAA\n") == "FAIL\t1\treason=Unexpected continuation"
        lines.send("AUTH\t3\tPLAIN\tservice=imap\tresp=%%\n")
        lines.send(f"AUTH\t4\tPLAIN\tservice=imap\tresp={plain('xx', 'no')}\n")
        assert sorted([lines.next(), lines.next()]) == ["FAIL\t3\tcode=invalid_base64", "FAIL\t4\tuser=xx"]
        assert time.monotonic() - started >= 1


def test_held_answers_are_sent_when_the_room_ends(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 60s") as room:
        lines = room.client()
        lines.send("".join(f"AUTH\t{n}\tPLAIN\tservice=imap\tresp={plain('u1', 'no')}\n" for n in range(1, 51)))
        assert lines.ask("CANCEL\t50\n") == "CANCELLED\t50"
        room.stop(signal.SIGTERM)
        assert sorted(lines.next() for _ in range(49)) == sorted(f"FAIL\t{n}\tuser=u1" for n in range(1, 50))
        assert lines.next() == ""


def test_one_connection_has_a_limit_of_requests(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 60s\nauth_max_requests = 10") as room:
        lines = room.client()
        lines.send("".join(f"AUTH\t{n}\tLOGIN\tservice=imap\n" for n in range(1, 6)))
        lines.send("".join(f"AUTH\t{n}\tPLAIN\tservice=imap\tresp={plain('u1', 'no')}\n" for n in range(6, 11)))
        assert [lines.next()[:6] for _ in range(5)] == [f"CONT\t{n}" for n in range(1, 6)]
        assert lines.ask(f"AUTH\t11\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == (
            "FAIL\t11\tcode=temp_fail\treason=Too many authentication requests"
        )
        assert lines.ask("CANCEL\t7\n") == "CANCELLED\t7"
        assert lines.ask(f"AUTH\t11\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t11\tuser=u1"
        assert room.client().ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"


def test_requests_without_progress_time_out(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_request_timeout = 1s") as room:
        lines = room.client()
        assert lines.ask("AUTH\t1\tLOGIN\tservice=imap\n").startswith("CONT\t1")
        lines.send("AUTH\t2\tLOGIN\tservice=imap\n")
        assert lines.next().startswith("CONT\t2")

        def gone() -> bool:
            # An id in use would end the connection; a free one begins a new conversation.
            other = room.client()
            other.close()
            return lines.ask("CONT\t1\t=\n") == "FAIL\t1\treason=Authentication request timed out"

        started = time.monotonic()
        wait_for(lambda: time.monotonic() - started > 2, what="the limit has passed")
        assert gone()
        assert lines.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t2\tuser=u1"


def test_ten_thousand_aborted_exchanges_leave_nothing_behind(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 60s\nlog_path = /dev/null") as room:

        def abort(count: int) -> None:
            lines = room.client()
            for start in range(0, count, 200):
                ids = range(start + 1, start + 201)
                lines.send("".join(f"AUTH\t{n}\tLOGIN\tservice=imap\tresp={b64('u1')}\n" for n in ids if n % 2))
                lines.send(
                    "".join(f"AUTH\t{n}\tPLAIN\tservice=imap\tresp={plain('u1', 'x')}\n" for n in ids if not n % 2)
                )
                lines.send("".join(f"CANCEL\t{n}\n" for n in ids))
                replies = [lines.next() for _ in range(300)]
                assert sum(reply.startswith("CANCELLED") for reply in replies) == 200
            lines.close()

        def leave(count: int) -> None:
            for _ in range(count // 100):
                lines = room.client()
                lines.send("".join(f"AUTH\t{n}\tPLAIN\tservice=imap\tresp={plain('u1', 'x')}\n" for n in range(1, 51)))
                lines.send("".join(f"AUTH\t{n}\tLOGIN\tservice=imap\n" for n in range(51, 101)))
                lines.next()
                lines.close()

        abort(2000)
        leave(2000)
        wait_for(lambda: room.open_files() > 0)
        memory, files = room.resident_kib(), room.open_files()
        abort(10_000)
        leave(10_000)
        lines = room.client()
        assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"
        lines.close()
        wait_for(lambda: room.open_files() <= files, what="no descriptor is left open")
        assert room.resident_kib() - memory < 3000, "20,000 aborted requests kept would be more"


def test_a_peer_that_does_not_read_is_not_served_without_end(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path) as room:
        lines = room.client()
        lines.sock.settimeout(1)
        block = "".join(f"AUTH\t{n}\tPLAIN\tservice=imap\tresp={plain('u1', 'no')}\n" for n in range(1, 1000)).encode()
        sent = 0
        try:
            while sent < 64 << 20:
                sent += lines.sock.send(block)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "reading stopped"
        other = room.client()
        assert other.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"


SLOW = "{BLF-CRYPT}$2y$12$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu"


def test_a_flood_of_slow_hashes_holds_up_nobody_else(tmp_path: Path) -> None:
    users = f"slow:{SLOW}::::::\nfast:{{PLAIN}}pw::::::\n"
    with AuthRoomProcess(tmp_path, "auth_worker_threads = 1\nauth_worker_queue_limit = 50", users=users) as room:
        flood = room.client()
        flood.send(
            "".join(
                f"AUTH\t{n}\tPLAIN\tservice=imap\trip=192.0.2.66\tresp={plain('slow', 'x')}\n" for n in range(1, 101)
            )
        )
        assert flood.next().endswith("code=temp_fail"), "what exceeds the queue is turned away"
        friend = room.client()
        assert (
            friend.ask(f"AUTH\t1\tPLAIN\tservice=imap\trip=192.0.2.1\tresp={plain('fast', 'pw')}\n")
            == "OK\t1\tuser=fast"
        )
        assert (
            friend.ask(f"AUTH\t2\tPLAIN\tservice=imap\trip=192.0.2.1\tresp={plain('slow', 'x')}\n")
            == "FAIL\t2\tuser=slow"
        )
        friend.send("CANCEL\t9\n")
        flood.send("".join(f"CANCEL\t{n}\n" for n in range(1, 101)))
        assert friend.next() == "CANCELLED\t9"


# --- configuration


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("auth_mechanisms = nosuch", "nosuch"),
        ("auth_mechanisms =", "No authentication mechanisms configured"),
        ("passdb other {\n driver = nosuch\n}", "nosuch"),
        ("passdb other {\n driver = passwd-file\n}", "passwd_file_path"),
        ("passdb users {\n default_password_scheme = NOSUCH\n}", "NOSUCH"),
        ("passdb users {\n result_success = continue\n}", "Last passdb can't have result_success=continue"),
        ("auth_username_translation = abc", "auth_username_translation"),
    ],
)
def test_a_configuration_without_sense_does_not_start(tmp_path: Path, extra: str, text: str) -> None:
    room = AuthRoomProcess(tmp_path, extra)
    command = [sys.executable, "-I", "-m", "services.auth", "-c", str(room.configuration)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78, done.stderr
    assert text in done.stderr and "Traceback" not in done.stderr


# --- databases by configuration


def alone(tmp_path: Path, databases: str) -> AuthRoomProcess:
    """A room with these databases instead of the usual ones."""
    room = AuthRoomProcess(tmp_path)
    base = f"base_dir = {tmp_path}/run\ndefault_internal_user =\ndefault_internal_group =\n"
    room.configuration.write_text(f"{base}auth_failure_delay = 0\nauth_internal_failure_delay = 0\n{databases}")
    return room


def login(room: AuthRoomProcess, user: str, password: str, service: str = "imap") -> str:
    lines = room.client()
    reply = lines.ask(f"AUTH\t1\tPLAIN\tservice={service}\tresp={plain(user, password)}\n")
    lines.close()
    return reply


STATIC = """
passdb static {
  static_password = all
}
userdb static {
  fields {
    home = /mail/%{user | domain}/%{user | username}
    uid = 1000
  }
}
"""


def test_static_databases_know_everybody(tmp_path: Path) -> None:
    with alone(tmp_path, STATIC.replace("static_password", "passdb_static_password")) as room:
        assert login(room, "a@b", "all") == "OK\t1\tuser=a@b"
        assert login(room, "a@b", "no").startswith("FAIL")
        lines = room.master()
        assert lines.ask("USER\t1\ta@b\tservice=lmtp\n") == "USER\t1\ta@b\thome=/mail/b/a\tuid=1000"
        assert lines.ask("USER\t2\ta\tservice=lmtp\n") == "FAIL\t2\tcode=temp_fail", "a path with an empty part"
        assert lines.ask("LIST\t3\tservice=x\n") == "DONE\t3\tfail"


def test_a_static_userdb_asks_the_passdbs_who_exists(tmp_path: Path) -> None:
    databases = f"""
passdb passwd-file {{
  passwd_file_path = {tmp_path}/users
}}
userdb static {{
  fields {{
    home = /mail/%{{user}}
  }}
}}
"""
    with alone(tmp_path, databases) as room:
        lines = room.master()
        assert lines.ask("USER\t1\tu1\tservice=lmtp\n") == "USER\t1\tu1\thome=/mail/u1"
        assert lines.ask("USER\t2\tnobody\tservice=lmtp\n") == "NOTFOUND\t2"
        (tmp_path / "users").unlink()
        assert lines.ask("USER\t3\tu1\tservice=lmtp\n") == "FAIL\t3\tcode=temp_fail"
    with alone(
        tmp_path, databases.replace("userdb static {", "userdb static {\n  userdb_static_allow_all_users = yes")
    ) as room:
        assert room.master().ask("USER\t1\tnobody\tservice=lmtp\n") == "USER\t1\tnobody\thome=/mail/nobody"


def test_databases_of_a_protocol_come_first(tmp_path: Path) -> None:
    databases = f"""
passdb passwd-file {{
  passwd_file_path = {tmp_path}/users
}}
protocol imap {{
  passdb imap-only {{
    driver = static
    passdb_static_password = special
    username_filter = u1
  }}
}}
"""
    with alone(tmp_path, databases) as room:
        assert login(room, "u1", "special", "imap").startswith("OK")
        assert login(room, "u1", "special", "smtp").startswith("FAIL")
        assert login(room, "u2", "special", "imap").startswith("FAIL")
        for service in ("imap", "smtp", "x\x01t", "y" * 1000):
            assert login(room, "u1", "pw", service).startswith("OK")


def test_weak_schemes_only_when_allowed(tmp_path: Path) -> None:
    users = "w:{MD5-CRYPT}$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1::::::\n"
    with AuthRoomProcess(tmp_path, users=users) as room:
        assert login(room, "w", "secret").startswith("FAIL")
        assert "Unknown scheme MD5-CRYPT" in room.log()
    with AuthRoomProcess(tmp_path, "auth_allow_weak_schemes = yes", users=users) as room:
        assert login(room, "w", "secret").startswith("OK")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_any_octets_at_any_step_end_that_exchange_only(room: AuthRoomProcess, mechanism: str) -> None:
    """Two thousand exchanges of random octets on one connection; each ends, and the connection lives."""
    random = Random(20)
    lines = room.client()
    pieces = [
        b"",
        b"\0",
        b"\0\0",
        b"u1",
        b"pw",
        b"\0u1\0",
        b"\xff",
        b"\t",
        b"\n",
        b"\r\n",
        b"\x01",
        b"%{user}",
        b"A" * 3000,
    ]
    for number in range(1, 2001):

        def octets() -> bytes:
            chosen = b"".join(random.choices(pieces, k=random.randrange(4))) + random.randbytes(random.randrange(6))
            return base64.b64encode(chosen) if random.random() < 0.8 else chosen.translate(None, b"\t\n")

        initial = b"\tresp=" + octets() if random.random() < 0.5 else b""
        reply = lines.ask(b"AUTH\t%d\t%b\tservice=imap%b\n" % (number, mechanism.encode(), initial))
        while reply.startswith(f"CONT\t{number}\t"):
            reply = lines.ask(b"CONT\t%d\t%b\n" % (number, octets()))
        assert reply.startswith((f"FAIL\t{number}", f"OK\t{number}\tuser=u1")), reply
        assert "temp_fail" not in reply
    assert lines.ask(f"AUTH\t2001\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t2001\tuser=u1"
    assert "Traceback" not in room.log()
