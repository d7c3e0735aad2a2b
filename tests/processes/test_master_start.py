"""Starting: READY, what children inherit, titles, modes, and every clear refusal."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from kit.running import TestMaster, alive
from kit.wait import wait_for


def test_ready_means_that_every_service_answers(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "process_min_avail = 2") as master:
        assert master.ask("hello") == "echo hello"
        states = {(row.name, row.state) for row in master.processes()}
        assert states == {("imap", "ready"), ("auth", "ready"), ("anvil", "ready"), ("notify", "ready")}
        assert len(master.pids("imap")) == 2
        assert "starting up for imap" in master.log_text()


def test_a_child_has_the_descriptors_of_the_contract_and_no_others(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "unix_listener extra-login {\n mode = 0666\n}") as master:
        # 3, 4, 7 and 8 are the test frame's own: its wake-up pipe, its selector, the listing.
        assert master.ask("FDS") == "0 1 2 3 4 5 6 7 8 9 10 11"
        assert master.ask("LISTENERS") == "9:inet:imap::False 10:unix:extra-login:login:False"


def test_the_environment_of_children_is_what_import_environment_says(tmp_path: Path) -> None:
    environ = os.environ | {"SECRET_OF_THE_CALLER": "x", "TZ": "UTC", "NOTIFY_SOCKET": "/nonexistent"}
    with TestMaster(tmp_path, environ=environ) as master:
        assert master.ask("ENV SECRET_OF_THE_CALLER") == "unset"
        assert master.ask("ENV NOTIFY_SOCKET") == "unset"
        assert master.ask("ENV TZ") == "UTC"


def test_titles(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        assert master.process is not None
        title = Path(f"/proc/{master.process.pid}/cmdline").read_bytes()
        assert title.rstrip(b"\0") == b"roost/master"
        (pid,) = master.pids("imap")
        assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"roost/imap")


def test_modes_of_sockets_and_of_the_pid_file(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "unix_listener public {\n mode = 0666\n}") as master:

        def mode(name: str) -> int:
            return stat.S_IMODE(os.lstat(master.base_dir / name).st_mode)

        assert (mode("public"), mode("auth-login"), mode("master"), mode("master.pid")) == (0o666, 0o600, 0o600, 0o644)
        assert master.process is not None
        assert int((master.base_dir / "master.pid").read_text()) == master.process.pid
    assert not master.base_dir.exists()


def test_sd_notify_tells_ready_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = "\0roost-test-" + tmp_path.name + str(os.getpid())
        systemd.bind(address)
        systemd.settimeout(20)
        environ = os.environ | {"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "400000"}
        master = TestMaster(tmp_path, environ=environ)
        with master:
            assert master.process is not None
            messages = [systemd.recv(4096).decode()]
            while "READY=1" not in messages[-1]:
                messages.append(systemd.recv(4096).decode())
            assert f"MAINPID={master.process.pid}" in messages[-1]
            assert "STATUS=v" in messages[-1]
            wait_for(lambda: "WATCHDOG=1" in systemd.recv(4096).decode())
            assert master.reload() == ""
            seen = ""
            while "READY=1" not in seen:
                seen += systemd.recv(4096).decode() + "\n"
            assert "RELOADING=1\nMONOTONIC_USEC=" in seen
        wait_for(lambda: "STOPPING=1" in systemd.recv(4096).decode())


def test_daemonising_returns_when_the_server_answers(tmp_path: Path) -> None:
    master = TestMaster(tmp_path, arguments=())
    started = master.run()
    try:
        assert started.returncode == 0, started.stderr
        pid = int((master.base_dir / "master.pid").read_text())
        assert alive(pid) and os.getsid(pid) == pid
        assert master.ask("hello") == "echo hello"
        shown = master.run("status")
        assert shown.returncode == 0, shown.stderr
        assert "imap" in shown.stdout and str(pid) in shown.stdout
        assert master.run("stop").returncode == 0
        assert not alive(pid)
        assert master.run("stop").returncode == os.EX_UNAVAILABLE
    finally:
        if (master.base_dir / "master.pid").exists():
            os.kill(int((master.base_dir / "master.pid").read_text()), signal.SIGKILL)
        master.stop()


def _refused(master: TestMaster) -> str:
    """Start a master that must not start; returns what it said."""
    try:
        process = master.launch()
        assert process.wait(30) == os.EX_CONFIG, master.report()
        text = master.stderr_text()
        assert "Traceback" not in text
        return text
    finally:
        master.stop()


def test_a_port_in_use_names_the_port_the_setting_and_the_owner(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        text = _refused(TestMaster(tmp_path, port=port))
    assert f"127.0.0.1:{port}" in text and "already in use by" in text
    assert f"(pid {os.getpid()})" in text
    assert "service imap { inet_listener imap { port } }" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is asked for an internal user")
def test_root_without_the_internal_user_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = _refused(TestMaster(tmp_path, top="default_internal_user = nosuchuser"))
    assert "nosuchuser" in text and "default_internal_user" in text and "useradd" in text


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    assert "no_such_setting" in _refused(TestMaster(tmp_path, top="no_such_setting = 1"))


def test_two_masters_on_one_base_dir(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as first:
        assert first.process is not None
        second = first.run("-F")
        assert second.returncode == os.EX_CONFIG
        assert f"already running with PID {first.process.pid}" in second.stderr
        assert first.ask("still") == "echo still"


def test_a_stale_pid_file_and_stale_sockets_are_no_obstacle(tmp_path: Path) -> None:
    master = TestMaster(tmp_path)
    master.base_dir.mkdir()
    # The number of a living process that is no master: a reused pid.
    (master.base_dir / "master.pid").write_text(f"{os.getpid()}\n")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(master.base_dir / "auth-login"))
    with master:
        assert master.ask("hello") == "echo hello"


def test_a_socket_path_that_is_a_file_is_not_removed(tmp_path: Path) -> None:
    master = TestMaster(tmp_path)
    master.base_dir.mkdir()
    precious = master.base_dir / "auth-login"
    precious.write_text("mine")
    process = master.launch()
    assert process.wait(30) == os.EX_CONFIG
    assert precious.read_text() == "mine"
    assert "is not a socket" in master.stderr_text()
    master.stop()


def test_usage_errors(tmp_path: Path) -> None:
    master = TestMaster(tmp_path)
    try:
        assert master.run("explode").returncode == os.EX_USAGE
        assert master.run("status").returncode == os.EX_UNAVAILABLE
        version = master.run("--version")
        assert version.returncode == 0 and version.stdout.strip()
        missing = master.run("-c", "/nonexistent/r.conf", "-F")
        assert missing.returncode == os.EX_CONFIG and "/nonexistent/r.conf" in missing.stderr
    finally:
        master.stop()
