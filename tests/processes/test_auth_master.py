"""The auth master protocol in raw lines: versions, errors of the peer, LIST, REQUEST with tokens, several masters."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.auth_room import USERS, AuthRoomProcess, Lines, plain
from kit.wait import wait_for

ODD = "o'brien@example.org:{PLAIN}pw:2001:100::::\nstar*:{PLAIN}pw:2002:100::::\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    folder = tmp_path_factory.mktemp("auth")
    (folder / "state").mkdir()
    with AuthRoomProcess(folder, "auth_verbose = yes\nauth_username_chars =", users=USERS + ODD) as process:
        yield process


def login_client(room: AuthRoomProcess, cpid: int) -> tuple[Lines, str]:
    """A connection of a login room, and its cookie."""
    lines = room.lines("auth-login")
    lines.send(f"VERSION\t1\t4\nCPID\t{cpid}\n")
    cookie = ""
    while (line := lines.next()) != "DONE":
        cookie = line[7:] if line.startswith("COOKIE\t") else cookie
    return lines, cookie


def test_the_greeting_comes_unasked(room: AuthRoomProcess) -> None:
    for name in ("auth-master", "auth-userdb"):
        lines = room.lines(name)
        assert lines.next() == "VERSION\t1\t4" and lines.next() == f"SPID\t{room.pid}"


@pytest.mark.parametrize("minor", [0, 1, 4, 99])
def test_any_minor_version_will_do(room: AuthRoomProcess, minor: int) -> None:
    lines = room.lines("auth-userdb")
    lines.send(f"VERSION\t1\t{minor}\nUSER\t1\tnobody\tservice=x\n")
    assert [lines.next() for _ in range(3)][2] == "NOTFOUND\t1"


@pytest.mark.parametrize(
    ("name", "sent", "text"),
    [
        ("auth-master", "VERSION\t2\t0\n", "BUG: we speak major version 1"),
        ("auth-master", "VERSION\t1\n", "BUG: VERSION needs two numbers"),
        ("auth-master", "USER\t1\tu1\tservice=x\n", "BUG: VERSION expected, got USER"),
        ("auth-master", "CPID\t1\n", "BUG: Authentication client connected to the master socket"),
        ("auth-userdb", "VERSION\t1\t4\nCPID\t1\n", "BUG: Authentication client connected to the master socket"),
        ("auth-userdb", "VERSION\t1\t4\nREQUEST\t1\t1\t1\tff\n", "BUG: Unknown command in userdb socket: REQUEST"),
        ("auth-userdb", "VERSION\t1\t4\nCACHE-FLUSH\t1\n", "BUG: Unknown command in userdb socket: CACHE-FLUSH"),
        ("auth-master", "VERSION\t1\t4\nhunter2\n", "BUG: Unknown command in master socket: something of 7 octets"),
        ("auth-master", "VERSION\t1\t4\nUSER\t1\tu1\n", "BUG: lookup with neither protocol= nor service="),
        ("auth-master", "VERSION\t1\t4\nUSER\t4294967296\tu1\tservice=x\n", "BUG: the ID is no number"),
        ("auth-master", "VERSION\t1\t4\nREQUEST\t1\tx\t1\tff\n", "BUG: REQUEST misses arguments"),
    ],
)
def test_what_a_peer_does_wrong_is_named(room: AuthRoomProcess, name: str, sent: str, text: str) -> None:
    before = len(room.log())
    lines = room.lines(name)
    lines.send(sent)
    assert lines.closed()
    wait_for(lambda: text in room.log()[before:], what=text)
    assert "hunter2" not in room.log()


def test_a_line_may_come_octet_by_octet_and_end_in_the_middle(room: AuthRoomProcess) -> None:
    lines = room.master()
    for octet in b"USER\t1\tu1\tservice=x\n":
        lines.send(bytes([octet]))
    assert lines.next().startswith("USER\t1\tu1\tuid=1001")
    lines.send("USER\t2\tu1\tserv")
    lines.sock.shutdown(socket.SHUT_WR)
    assert lines.next() == "", "half a line is no line"


def test_masks(room: AuthRoomProcess) -> None:
    lines = room.master("auth-userdb")

    def listed(mask: str) -> list[str]:
        lines.send(f"LIST\t1\tuser={mask}\tservice=x\n".encode())
        names = []
        while (line := lines.next()) != "DONE\t1\t":
            assert line.startswith("LIST\t1\t")
            names.append(line[7:])
        return names

    everybody = [*(f"u{number}" for number in range(1, 10)), "o'brien@example.org", "star*"]
    assert listed("") == listed("*") == listed("***") == everybody
    assert listed("u?") == everybody[:9] and listed("?1") == ["u1"]
    assert listed("*@example.org") == ["o'brien@example.org"]
    assert listed("star*") == ["star*"]
    assert listed("[a-z]*") == [] and listed("%{user}") == [] and listed("\x01t*") == []
    assert listed("*a" * 3000) == [], "no pattern takes for ever"


def test_requests_overlap_and_are_told_apart(room: AuthRoomProcess) -> None:
    """Two masters, a thousand questions each in one breath."""
    masters = [room.master(), room.master()]
    for lines in masters:
        lines.send("".join(f"USER\t{n}\tu{n % 12}\tservice=x\n" for n in range(1, 1001)))
    for lines in masters:
        replies = {int(reply.split("\t")[1]): reply for reply in (lines.next() for _ in range(1000))}
        for number, reply in replies.items():
            known = 1 <= number % 12 <= 9
            assert reply.startswith(f"USER\t{number}\tu{number % 12}\tuid=100{number % 12}" if known else "NOTFOUND\t")


def test_a_login_goes_to_one_of_two_masters(room: AuthRoomProcess) -> None:
    client, cookie = login_client(room, 801)
    one, two = room.master(), room.master()
    assert client.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n").startswith("OK")
    request = f"REQUEST\t9\t801\t1\t{cookie}\n"
    one.send(request)
    two.send(request)
    assert sorted([one.next()[:6], two.next()[:6]]) == ["FAIL\t9", "USER\t9"]
    assert client.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n").startswith("OK")
    client.close()
    wait_for(lambda: one.ask(f"REQUEST\t9\t801\t2\t{cookie}\n") == "FAIL\t9", what="gone with its client")


def test_a_token_is_given_when_asked_for(room: AuthRoomProcess) -> None:
    client, cookie = login_client(room, 802)
    master = room.master()

    def request(more: str) -> str:
        assert client.ask(f"AUTH\t1\tPLAIN\tservice=imap\tsession=s1\tresp={plain('u1', 'pw')}\n").startswith("OK")
        return master.ask(f"REQUEST\t9\t802\t1\t{cookie}{more}\n")

    assert "auth_token" not in request("") and "auth_token" not in request("\tsession_pid=77\tsession_pid_trusted")
    reply = request("\tsession_pid=77\trequest_auth_token\tunknown=parameter")
    path = room.folder / "state/auth-token-secret.dat"
    assert path.stat().st_mode & 0o777 == 0o600
    token = hmac.new(b"u1", b"77s1imap" + path.read_bytes(), hashlib.sha1).hexdigest()
    assert reply.endswith(f"\tauth_mech=PLAIN\tauth_token={token}")
    assert request("\tsession_pid=78\trequest_auth_token")[-40:] != token
    master.send(f"REQUEST\t9\t802\t1\t{cookie}\trequest_auth_token\n")
    assert master.next() == "FAIL\t9", "taken already"


@pytest.mark.skipif(os.geteuid() != 0, reason="root may write everywhere else")
def test_without_a_place_for_the_secret_there_is_no_token_but_a_login(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path) as room:
        client, cookie = login_client(room, 5)
        assert client.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n").startswith("OK")
        reply = room.master().ask(f"REQUEST\t1\t5\t1\t{cookie}\tsession_pid=7\trequest_auth_token\n")
        assert reply.startswith("USER\t1\tu1") and "auth_token" not in reply
        wait_for(lambda: "auth-token-secret.dat: No such file or directory" in room.log(), what="the reason")


def test_a_master_that_resets_its_connection_harms_nobody(room: AuthRoomProcess) -> None:
    friend = room.master()
    for _ in range(50):
        lines = room.master()
        lines.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        lines.send("LIST\t1\tservice=x\n" * 20)
        lines.close()
    assert friend.ask("USER\t1\tu1\tservice=x\n").startswith("USER\t1\tu1")
    assert "Traceback" not in room.log()
