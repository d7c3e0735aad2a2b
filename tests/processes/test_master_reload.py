"""SIGHUP: a good configuration takes over without a gap, a bad one changes nothing, sessions stay."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from kit.running import TestMaster, alive, free_port
from kit.wait import wait_for


def test_an_open_session_survives_and_the_old_process_leaves_with_it(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        session = master.connect()
        old = int(session.ask("PID"))
        master.configure(top="login_greeting = Second")
        master.signal(signal.SIGHUP)
        master.wait_log("Configuration reloaded")
        assert session.ask("GREETING") == "Roost ready."
        wait_for(lambda: master.ask("GREETING") == "Second")  # the old one may still take a client or two
        wait_for(lambda: master.pids("imap", "retiring") == {old})
        assert session.ask("still here") == "echo still here"
        session.close()
        wait_for(lambda: not alive(old))
        assert old not in master.pids("imap")


def test_no_connection_is_refused_during_reloads(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        for _ in range(5):
            assert master.reload() == ""
            for _ in range(10):
                assert master.ask("hello") == "echo hello"


def test_a_wrong_configuration_keeps_the_old_one_and_says_why(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        before = master.pids()
        master.configure(top="protocolls = imap")
        problem = master.reload()
        assert "protocolls" in problem and str(master.config_file) in problem
        assert "Config reload failed" in master.log_text()
        assert master.pids() == before
        assert master.ask("hello") == "echo hello"
        refused = master.run("reload")
        assert refused.returncode == 78 and "protocolls" in refused.stderr


def test_a_configuration_whose_port_is_taken_keeps_the_old_one(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master, socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = owner.getsockname()[1]
        master.configure(
            f"inet_listener other {{\n port = {taken}\n}}\nunix_listener fresh {{\n mode = 0600\n}}",
        )
        assert "already in use" in master.reload()
        assert master.ask("hello") == "echo hello"
        assert not (master.base_dir / "fresh").exists()
        master.configure()
        assert master.reload() == ""
        assert master.ask("hello") == "echo hello"


def test_listeners_come_and_go(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "unix_listener first {\n mode = 0600\n}") as master:
        extra = free_port()
        master.configure(f"inet_listener extra {{\n port = {extra}\n}}\nunix_listener second {{\n mode = 0660\n}}")
        assert master.reload() == ""
        with master.connect(extra) as talk:
            assert talk.ask("hello") == "echo hello"
        assert not (master.base_dir / "first").exists()
        assert (master.base_dir / "second").stat().st_mode & 0o777 == 0o660
        master.configure("unix_listener second {\n mode = 0666\n}")
        assert master.reload() == ""
        assert (master.base_dir / "second").stat().st_mode & 0o777 == 0o666
        # The old processes may still hold the listening socket for a moment.
        wait_for(lambda: _refuses(extra))


def test_a_unix_socket_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "unix_listener door {\n mode = 0600\n}") as master:
        (master.base_dir / "door").unlink()
        assert master.reload() == ""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(master.base_dir / "door"))


def test_anvil_and_notify_keep_their_process_while_their_settings_stay(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        anvil, auth, notify = master.pids("anvil"), master.pids("auth"), master.pids("notify")
        assert master.reload() == ""
        wait_for(lambda: not master.pids("auth") & auth and master.pids("auth", "ready"))
        assert (master.pids("anvil"), master.pids("notify")) == (anvil, notify)
        master.configure(top="service anvil {\n client_limit = 77\n}")
        assert master.reload() == ""
        wait_for(lambda: not master.pids("anvil") & anvil and master.pids("anvil", "ready"))


def test_old_processes_serve_until_the_new_ones_can(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        old = master.pids("imap")
        master.configure(top="login_greeting = broken")
        assert master.reload() == ""
        master.wait_log("throttling")
        assert old <= master.pids("imap", "ready")
        assert master.ask("hello") == "echo hello"
        master.configure()
        assert master.reload() == ""
        wait_for(lambda: not old & master.pids("imap"))
        assert master.ask("hello") == "echo hello"


def test_base_dir_cannot_change(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        text = master.config_file.read_text()
        master.config_file.write_text(f"{text}\ninstance_name = roost-other\n")
        assert "instance_name" in master.reload()
        assert master.ask("hello") == "echo hello"


def test_another_address_of_a_port_that_is_ours_says_so(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        text = master.config_file.read_text()
        master.config_file.write_text(text.replace("listen = 127.0.0.1", "listen = *"))
        assert "stop and start for that change" in master.reload()
        assert master.ask("hello") == "echo hello"


def test_many_reloads_leak_no_descriptor(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        assert master.process is not None
        fds = Path(f"/proc/{master.process.pid}/fd")

        def settled() -> int:
            wait_for(lambda: len(master.pids()) == 4 and len(master.pids(state="ready")) == 4)
            return len(list(fds.iterdir()))

        assert master.reload() == ""
        before = settled()
        for _ in range(8):
            assert master.reload() == ""
        wait_for(lambda: settled() <= before + 1)


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
