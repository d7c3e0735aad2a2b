"""Wrong configurations of the real server, at start and at reload, and a second master: said plainly, nothing lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, Bystander, still_serves, unharmed
from kit.instance import Instance
from kit.rawclient import RawClient
from kit.running import alive
from kit.wait import wait_for

# What is wrong → what the message must name, beside the file.
WRONG = {
    "a key nobody knows": ("imap_max_lin_length = 5k\n", ("imap_max_lin_length", "imap_max_line_length", "line")),
    "a value of the wrong kind": ("imap_max_line_length = long\n", ("imap_max_line_length", "line")),
    "a value out of range": ("mime_max_depth = 1000000\n", ("mime_max_depth", "line")),
    "a negative number": ("imap_max_bad_commands = -1\n", ("imap_max_bad_commands", "line")),
    "a number beyond all bounds": ("imap_max_bad_commands = " + "9" * 5000 + "\n", ("imap_max_bad_commands",)),
    "a brace not closed": ("service imap {\n", ("roost.conf",)),
    "a brace too many": ("}\n", ("roost.conf", "line")),
    "a filter nobody knows": ("mail_home = /x/%{user | explode}\n", ("mail_home",)),
    "a variable not closed": ("mail_home = /x/%{user\n", ("mail_home",)),
    "an include that is not there": ("!include /nonexistent/roost.conf\n", ("/nonexistent/roost.conf",)),
    "an include of itself": ("!include {file}\n", ("roost.conf",)),
    "a port beyond all ports": ("service imap {\ninet_listener imap {\nport = 99999\n}\n}\n", ("port",)),
    "a limit of nobody": ("service imap {\nclient_limit = 0\n}\n", ("client_limit",)),
    "rubbish": ("\x00\x01\x02\xff\xfe{{{{====\n", ("roost.conf",)),
    "nesting": ("a {\n" * 5000, ("roost.conf",)),
    "a line of a megabyte": ("x" * (1 << 20) + "\n", ("roost.conf",)),
}

# What only a room can know → what the log must name.
WRONG_FOR_ROOMS = {
    "a certificate that is not there": ("ssl_server_cert_file = /nonexistent.pem\n", "/nonexistent.pem"),
    "a key that is no key": ("ssl_server_key_file = {file}\n", "are not a certificate and its key"),
    "a passdb driver nobody knows": ("passdb oracle {\n driver = oracle\n}\n", "Unknown passdb driver 'oracle'"),
    "a mail driver nobody knows": ("mail_driver = floppy\n", "unknown driver 'floppy'"),
    "a variable nobody knows": ("login_greeting = %{nobody}\n", "Unknown variable 'nobody'"),
}


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER) as instance:
        yield instance


def write_wrong(instance: Instance, text: str) -> None:
    instance.configure(ONE_WORKER)
    with open(instance.config_file, "a", encoding="latin-1") as file:
        file.write(text.replace("{file}", str(instance.config_file)))


def greeting(roost: Instance) -> bytes:
    with RawClient(roost.imap_port) as client:
        return client.line()


class TestAtReload:
    @pytest.mark.parametrize("name", WRONG)
    def test_the_old_one_stays(self, roost: Instance, name: str) -> None:
        """Sessions go on, new ones begin, the processes are the same, and the answer says what is wrong."""
        with unharmed(roost), RawClient(roost.imap_port).login("u1") as client:
            pids = roost.pids()
            text, named = WRONG[name]
            write_wrong(roost, text)
            said = roost.reload()
            assert said, "a wrong configuration was taken"
            assert len(said) < 10_000
            assert all(word in said for word in named), said
            assert roost.pids() == pids
            assert client.command(b"A SELECT INBOX")[-1].startswith(b"A OK")
        assert roost.process is not None and roost.process.poll() is None

    def test_a_file_that_is_gone_or_cannot_be_read(self, roost: Instance) -> None:
        with unharmed(roost):
            hidden = roost.config_file.rename(roost.config_file.with_suffix(".hidden"))
            assert str(roost.config_file) in roost.reload()
            roost.config_file.mkdir()
            assert str(roost.config_file) in roost.reload()
            roost.config_file.rmdir()
            roost.config_file.symlink_to(roost.config_file.name)
            assert str(roost.config_file) in roost.reload()
            roost.config_file.unlink()
            hidden.rename(roost.config_file)

    @pytest.mark.parametrize("name", WRONG_FOR_ROOMS)
    def test_what_only_a_room_can_know(self, tmp_path: Path, name: str) -> None:
        """The new processes cannot start and say why; the old ones go on; a corrected configuration ends it."""
        with Instance(tmp_path, ONE_WORKER) as roost, RawClient(roost.imap_port).login("u1") as client:
            bystander = Bystander(roost, "u9", only_imap=True)
            bystander.start()
            try:
                text, named = WRONG_FOR_ROOMS[name]
                write_wrong(roost, text)
                roost.reload()
                roost.wait_log(named)
                rounds = bystander.rounds
                wait_for(lambda: bystander.rounds > rounds + 5)
                still_serves(roost, "u2")
                assert client.command(b"A SELECT INBOX")[-1].startswith(b"A OK")
                roost.configure(ONE_WORKER + "login_greeting = Good again.\n")
                assert roost.reload() == ""
                wait_for(lambda: b"Good again." in greeting(roost), 20, "the corrected configuration to count")
                assert client.command(b"B NOOP")[-1].startswith(b"B OK")
            finally:
                bystander.stop()

    def test_then_a_good_one_is_taken(self, roost: Instance) -> None:
        roost.configure(ONE_WORKER + "login_greeting = Good again.\n")
        assert roost.reload() == ""
        wait_for(lambda: b"Good again." in greeting(roost), 20, "the good configuration to count")


class TestAtStart:
    @pytest.mark.parametrize("name", WRONG)
    def test_it_does_not_start(self, tmp_path: Path, name: str) -> None:
        instance = Instance(tmp_path)
        text, named = WRONG[name]
        write_wrong(instance, text)
        try:
            done = instance.run("-F")
            assert done.returncode == os.EX_CONFIG, done.stderr[-1000:]
            assert all(word in done.stderr for word in named), done.stderr[-1000:]
            assert "Traceback" not in done.stderr
            assert len(done.stderr) < 10_000
            for port in (instance.imap_port, instance.imaps_port):
                with socket.socket() as sock:
                    assert sock.connect_ex(("127.0.0.1", port)) != 0, "something listens"
        finally:
            instance.stop()

    @pytest.mark.parametrize("name", WRONG_FOR_ROOMS)
    def test_what_only_a_room_can_know_is_named(self, tmp_path: Path, name: str) -> None:
        """The other services start; the one that cannot is tried again, ever more slowly."""
        instance = Instance(tmp_path)
        text, named = WRONG_FOR_ROOMS[name]
        write_wrong(instance, text)
        try:
            instance.launch()
            instance.wait_log(named, 20)
            instance.wait_log("throttling")
            assert "throttled" in instance.run("status").stdout
        finally:
            instance.stop()


class TestTwoMasters:
    def test_the_second_is_refused_and_the_first_not_disturbed(self, roost: Instance) -> None:
        assert roost.process is not None
        sockets = {path: path.lstat().st_ino for path in roost.base_dir.iterdir()}
        with unharmed(roost):
            for arguments in (("-F",), ()):
                second = roost.run(*arguments)
                assert second.returncode == os.EX_CONFIG
                assert f"already running with PID {roost.process.pid}" in second.stderr
        assert {path: path.lstat().st_ino for path in roost.base_dir.iterdir()} == sockets

    def test_on_the_same_ports_with_another_base_dir(self, roost: Instance, tmp_path: Path) -> None:
        other = Instance(tmp_path)
        other.imap_port, other.imaps_port = roost.imap_port, roost.imaps_port
        other.configure("")
        try:
            with unharmed(roost):
                done = other.run("-F")
            assert done.returncode == os.EX_CONFIG
            assert "already in use" in done.stderr
            assert not (other.base_dir / "auth-login").exists()
        finally:
            other.stop()

    def test_a_pid_file_of_somebody_else(self, tmp_path: Path) -> None:
        """A number of a living process that is no master, or rubbish, is no obstacle and nobody is signalled."""
        for text in (f"{os.getpid()}\n", "rubbish", "-1\n", "9" * 40):
            instance = Instance(tmp_path)
            instance.base_dir.mkdir()
            (instance.base_dir / "master.pid").write_text(text)
            with instance:
                assert alive(os.getpid())
                with RawClient(instance.imap_port) as client:
                    assert client.line().startswith(b"* OK ")
