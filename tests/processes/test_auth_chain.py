"""Several databases in a real auth room: master users, deny, prefetch, rehash, late answers, lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.auth_room import AuthRoomProcess, plain
from kit.wait import wait_for

USERS = "\n".join(
    [
        "u1:{PLAIN}pw:1001:100::/h/u1::",
        "u2:{PLAIN}pw:1002:100::/h/u2::userdb_quota_mail_size=5M userdb_x=%{user}",
        "off:{PLAIN}pw:1003:100::/h/off::nologin reason=Moved",
        "late:{PLAIN}pw:1004:100::/h/late::delay_until=LATE",
        "relay:{PLAIN}pw:1005:100::/h/relay::proxy=y host=192.0.2.7",
        "spam1:{PLAIN}pw:1006:100::::",
        "",
    ]
)
EXTRA = """
auth_master_user_separator = *
auth_verbose = yes
passdb_rehash_scheme = SSHA256
passdb masters {{
  driver = passwd-file
  passwd_file_path = {folder}/masters
  master = yes
  rehash_scheme =
  result_success = continue
}}
passdb blocked {{
  driver = deny
  username_filter = spam*
  rehash_scheme =
}}
passdb last {{
  driver = passwd-file
  passwd_file_path = {folder}/users
}}
passdb users {{
  username_filter = !spam*
}}
userdb second {{
  driver = passwd-file
  passwd_file_path = {folder}/second
}}
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    folder = tmp_path_factory.mktemp("chain")
    (folder / "masters").write_text("root:{PLAIN}master\n")
    (folder / "second").write_text("w1:x:1:1::/h/w1\nw2:x:1:1::/h/w2\n")
    users = USERS.replace("LATE", str(int(time.time()) + 240))
    with AuthRoomProcess(folder, EXTRA.format(folder=folder), users=users) as process:
        yield process


def auth(room: AuthRoomProcess, user: str, password: str, socket: str = "auth-client", **more: str) -> str:
    lines = room.client(socket, cpid=int(time.monotonic_ns() % 1_000_000_000) + 1)
    extra = "".join(f"\t{key}={value}" if value else f"\t{key}" for key, value in more.items())
    return lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\trip=192.0.2.1{extra}\tresp={plain(user, password)}\n")


def test_master_users(room: AuthRoomProcess) -> None:
    assert auth(room, "u1*root", "master") == "OK\t1\tuser=u1\toriginal_user=u1*root\tauth_user=root"
    reply = auth(room, "u1*root", "master", "auth-login", userdb="")
    assert reply.startswith("OK\t1\tuser=u1\t") and f"userdb_home={room.folder}/mail/u1" in reply
    assert "\tuserdb_master_user=root" in reply and "\tuserdb_uid=1001" in reply
    assert auth(room, "u1*root", "pw") == "FAIL\t1\tuser=root"
    assert auth(room, "nobody*root", "master") == "FAIL\t1\tuser=nobody\tcode=authz_fail"
    assert auth(room, "spam1*root", "master") == "FAIL\t1\tuser=spam1\tcode=authz_fail"
    assert auth(room, "root", "master") == "FAIL\t1\tuser=root"


def test_a_master_is_told_to_the_mail_process(room: AuthRoomProcess) -> None:
    login = room.lines("auth-login")
    login.send("VERSION\t1\t4\nCPID\t91\n")
    seen = []
    while "DONE" not in seen:
        seen.append(login.next())
    cookie = next(line.split("\t")[1] for line in seen if line.startswith("COOKIE"))
    assert login.ask(f"AUTH\t5\tPLAIN\tservice=imap\tresp={plain('u2*root', 'master')}\n").startswith("OK\t5")
    reply = room.master().ask(f"REQUEST\t7\t91\t5\t{cookie}\n")
    assert reply.startswith("USER\t7\tu2\t")
    assert {"master_user=root", "auth_user=root", "auth_mech=PLAIN", "x=u2"} <= set(reply.split("\t"))


def test_the_driver_deny(room: AuthRoomProcess) -> None:
    assert auth(room, "spam1", "pw") == "FAIL\t1\tuser=spam1"
    assert "User found from deny passdb" in room.log()


def test_proxies_learn_the_password_on_login_sockets_only(room: AuthRoomProcess) -> None:
    assert auth(room, "relay", "pw") == "OK\t1\tuser=relay\tproxy=y\thost=192.0.2.7"
    assert "\tpass=pw" in auth(room, "relay", "pw", "auth-login")
    assert "\tmaster=root" in auth(room, "relay*root", "master", "auth-login")
    assert room.master().ask("PASS\t1\trelay\tservice=imap\n") == "PASS\t1\tuser=relay\tproxy=y\thost=192.0.2.7"


def test_nologin(room: AuthRoomProcess) -> None:
    assert auth(room, "off", "pw") == "OK\t1\tuser=off\tnologin=yes\treason=Moved"


def test_a_late_answer_holds_up_nobody_else(room: AuthRoomProcess) -> None:
    lines = room.client()
    lines.send(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('late', 'pw')}\n")
    assert lines.ask(f"AUTH\t2\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t2\tuser=u1"
    lines.send("CANCEL\t1\n")
    assert lines.next() == "CANCELLED\t1"


def test_passwords_are_rehashed(room: AuthRoomProcess) -> None:
    path = Path(room.folder) / "users"
    assert auth(room, "u2", "pw").startswith("OK")
    wait_for(lambda: "\nu2:{SSHA256}" in path.read_text(), 20, "the stored password is another")
    assert auth(room, "u2", "pw").startswith("OK") and auth(room, "u2", "no").startswith("FAIL")
    assert ":1002:100::/h/u2::userdb_quota_mail_size=5M userdb_x=%{user}\n" in path.read_text()


def test_every_userdb_is_listed(room: AuthRoomProcess) -> None:
    lines = room.master()
    lines.send("LIST\t1\tservice=doveadm\n")
    seen: list[str] = []
    while not seen or not seen[-1].startswith("DONE"):
        seen.append(lines.next())
    names = [line.split("\t")[2] for line in seen[:-1]]
    assert names == ["u1", "u2", "off", "late", "relay", "spam1", "w1", "w2"] and seen[-1] == "DONE\t1\t"
    lines.send("LIST\t2\tservice=doveadm\tuser=w*\n")
    assert [lines.next() for _ in range(3)] == ["LIST\t2\tw1", "LIST\t2\tw2", "DONE\t2\t"]
