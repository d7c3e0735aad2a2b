"""The log: levels and prefixes, rotation, floods; and the control socket."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

from kit.running import TestMaster
from kit.wait import wait_for


def test_lines_have_time_prefix_and_level(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        master.ask("LOG I imap(bob)<12><s1>: Disconnected")
        master.ask("STDERR something odd")
        master.wait_log("something odd")
        stamp = r"^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d "
        assert re.search(stamp + r"imap\(bob\)<12><s1>: Info: Disconnected$", master.log_text(), re.M)
        assert re.search(stamp + r"imap\[\d+\]: Error: something odd$", master.log_text(), re.M)


def test_levels_go_to_their_files(tmp_path: Path) -> None:
    top = f"info_log_path = {tmp_path}/info\ndebug_log_path = {tmp_path}/debug"
    master = TestMaster(tmp_path, top=top)
    master.is_ready = lambda: "Ready" in _text(tmp_path / "info")  # type: ignore[method-assign]
    with master:
        for level in "DIWEFP":
            master.ask(f"LOG {level} imap: this is {level}")
        wait_for(lambda: "this is P" in master.log_text())
        assert re.findall("this is (.)", master.log_text()) == list("WEFP")
        assert re.findall("this is (.)", _text(tmp_path / "info")) == ["I"]
        assert re.findall("this is (.)", _text(tmp_path / "debug")) == ["D"]


def test_usr1_reopens_the_log(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        rotated = tmp_path / "roost.log.1"
        master.log_file.rename(rotated)
        master.ask("LOG I imap: to the old file")
        wait_for(lambda: "to the old file" in _text(rotated))
        master.signal(signal.SIGUSR1)
        wait_for(master.log_file.exists)
        master.ask("LOG I imap: to the new file")
        wait_for(lambda: "to the new file" in master.log_text())
        assert "to the new file" not in _text(rotated)
        assert master.log_file.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_reopened_goes_on_in_the_old_file(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        rotated = tmp_path / "roost.log.1"
        master.log_file.rename(rotated)
        master.log_file.mkdir()
        master.signal(signal.SIGUSR1)
        wait_for(lambda: "cannot open log file" in _text(rotated))
        master.ask("LOG I imap: still here")
        wait_for(lambda: "still here" in _text(rotated))
        master.log_file.rmdir()


def test_a_flood_is_cut_and_the_traceback_behind_it_is_not(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        (pid,) = master.pids("imap")
        assert master.ask("FLOOD 100000") == ""
        master.wait_log(f"child {pid} returned error 1")
        log = master.log_text()
        assert "RuntimeError: after the flood" in log
        assert "lines were dropped" in log
        assert 20_000 <= log.count("imap: Info: flood ") < 95_000


def test_recent_errors_are_kept_for_doveadm(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        master.ask("LOG W imap(bob)<1><s>: a warning")
        master.ask("LOG I imap(bob)<1><s>: no warning")
        master.wait_log("no warning")
        with master.control() as client:
            rows = client.rows("ERROR-LOG")
        assert [(row[0], row[2], row[3]) for row in rows] == [("W", "imap(bob)<1><s>: ", "a warning")]


def test_the_control_socket_survives_bad_peers(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:

        def say(data: bytes) -> bytes:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(master.base_dir / "master"))
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    answer = b""
                    while chunk := sock.recv(65536):
                        answer += chunk
                except ConnectionError:
                    pass
                return answer

        greeting = b"VERSION\tmaster-server\t1\t0\n"
        hello = b"VERSION\tmaster-client\t1\t0\n"
        assert say(b"") == greeting
        assert say(b"GET / HTTP/1.1\r\n\r\n") == greeting
        assert say(b"VERSION\tmaster-client\t2\t0\nINFO\n") == greeting
        assert say(hello + b"NONSENSE\n") == greeting + b"-Unknown command: NONSENSE\n"
        assert say(hello + b"x" * 100_000).startswith(greeting)
        crowd = []
        for _ in range(30):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(master.base_dir / "master"))
            crowd.append(sock)
        assert master.ask("hello") == "echo hello"
        for sock in crowd:
            sock.close()
        wait_for(lambda: master.pids("imap"))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
