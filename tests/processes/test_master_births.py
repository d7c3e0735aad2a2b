"""Ways to be born: exec, early dropping of rights, other users, sockets from systemd."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit.running import TestMaster, alive, free_port
from kit.wait import wait_for

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = pwd.getpwnam("nobody")


def test_exec_starts_a_fresh_interpreter_with_the_same_contract(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "spawn = exec", top="login_greeting = Across") as master:
        argv = master.ask("ARGV")
        assert argv.endswith("-I -m tests.kit.rooms.frame") and sys.executable in argv
        assert master.ask("GREETING") == "Across"
        assert master.ask("LISTENERS") == "9:inet:imap::False"
        assert set(master.ask("FDS").split()) >= {"0", "1", "2", "5", "6", "9"}
        assert "inheritable" not in master.ask("INHERITABLE")
        session = master.connect()
        old = int(session.ask("PID"))
        assert master.reload() == ""
        wait_for(lambda: master.pids("imap", "retiring") == {old})
        assert session.ask("still here") == "echo still here"
        session.close()
        wait_for(lambda: not alive(old))


def test_exec_children_die_with_a_killed_master(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "spawn = exec\nprocess_min_avail = 2") as master:
        children = master.pids()
        master.kill_master()
        wait_for(lambda: not any(alive(pid) for pid in children))


def _everybody_can_run_python() -> bool:
    """False where the interpreter lies in a folder of root's, as developers' machines have it."""
    nobody = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
    try:
        return subprocess.run([sys.executable, "-I", "-c", "import roost"], **nobody).returncode == 0  # type: ignore[call-overload]
    except PermissionError:
        return False


@as_root
@pytest.mark.parametrize("how", ["", "spawn = exec", "drop_priv_before_exec = yes", "both"])
def test_children_become_their_user_for_good(tmp_path: Path, how: str) -> None:
    if how == "both":
        if not _everybody_can_run_python():
            pytest.skip("another user may not run this Python")
        how = "spawn = exec\ndrop_priv_before_exec = yes"
    with TestMaster(tmp_path, f"{how}\nuser = nobody\ngroup = nogroup\nextra_groups = daemon") as master:
        group = NOBODY.pw_gid
        assert master.ask("IDS") == f"{NOBODY.pw_uid} {group} {sorted([group, 1])}"
        assert master.ask("REGAIN") == "refused"
        (pid,) = master.pids("imap")
        master.kill_master()
        # The parent-death signal survived the change of user.
        wait_for(lambda: not alive(pid))


@as_root
def test_listeners_have_the_owner_of_the_configuration(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "unix_listener theirs {\n mode = 0620\n user = nobody\n group = daemon\n}") as master:
        found = os.stat(master.base_dir / "theirs")
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY.pw_uid, 1, 0o620)


@as_root
def test_chroot(tmp_path: Path) -> None:
    cell = tmp_path / "cell"
    cell.mkdir()
    with TestMaster(tmp_path, f"user = nobody\nchroot = {cell}") as master:
        assert master.ask("ROOT") == ""  # an empty folder


@as_root
def test_a_user_that_does_not_exist_is_named_with_its_setting(tmp_path: Path) -> None:
    master = TestMaster(tmp_path, "user = nosuchuser")
    assert master.launch().wait(30) == os.EX_CONFIG
    text = master.stderr_text()
    master.stop()
    assert "nosuchuser" in text and "service imap { user }" in text


@as_root
def test_without_root_users_are_ignored_with_one_line(tmp_path: Path) -> None:
    master = TestMaster(tmp_path, "user = root\ngroup = root", rooms={"as": "nobody"})
    for folder in (tmp_path, master.base_dir.parent):
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    for folder in tmp_path.parents:
        if folder != Path("/tmp") and Path("/tmp") in folder.parents:
            folder.chmod(0o711)
    with master:
        assert master.ask("IDS").startswith(f"{NOBODY.pw_uid} ")
        assert master.log_text().count("not running as root") == 1
        assert master.reload() == ""


def _pass_listeners(*sockets: socket.socket) -> dict[str, Any]:
    """Popen arguments that hand sockets over as systemd does: from descriptor 3 on, LISTEN_PID our own."""

    def place() -> None:
        high = [os.dup2(sock.fileno(), 100 + number) for number, sock in enumerate(sockets)]
        for number, fd in enumerate(high):
            os.dup2(fd, 3 + number)
            os.close(fd)
        os.environ["LISTEN_PID"] = str(os.getpid())

    return {"preexec_fn": place, "close_fds": False}


def _activated(tmp_path: Path, master: TestMaster, *sockets: socket.socket) -> TestMaster:
    # LISTEN_PID must be the master's own pid: a shell knows it and then becomes the master.
    command = master.command
    master.command = lambda *arguments: [  # type: ignore[method-assign]
        "/bin/sh",
        "-c",
        'LISTEN_PID=$$ LISTEN_FDS="$1"; export LISTEN_PID LISTEN_FDS; shift; exec "$@"',
        "sh",
        str(len(sockets)),
        *command(*arguments),
    ]
    passed = _pass_listeners(*sockets)
    master.start(**passed)
    master.command = command  # type: ignore[method-assign]
    return master


def test_sockets_of_systemd_are_adopted_by_family_and_port(tmp_path: Path) -> None:
    with socket.socket() as ours, socket.socket() as stranger:
        for sock in (ours, stranger):
            sock.bind(("127.0.0.1", 0))
            sock.listen()
        # A client that came before the server.
        early = socket.create_connection(ours.getsockname(), timeout=10)
        master = TestMaster(tmp_path, port=ours.getsockname()[1])
        try:
            _activated(tmp_path, master, stranger, ours)
            early.sendall(b"early\n")
            assert early.recv(100) == b"echo early\n"
            assert master.ask("ENV LISTEN_FDS") == "unset"
            port = stranger.getsockname()[1]
            assert f"systemd listens on port {port}, but it's not configured in Roost" in master.log_text()
            assert master.reload() == ""
            assert master.ask("hello") == "echo hello"
        finally:
            early.close()
            master.stop()


def test_a_listen_pid_of_somebody_else_is_ignored(tmp_path: Path) -> None:
    environ = os.environ | {"LISTEN_PID": "1", "LISTEN_FDS": "3"}
    with TestMaster(tmp_path, environ=environ, port=free_port()) as master:
        assert master.ask("hello") == "echo hello"
