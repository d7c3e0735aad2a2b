"""doveadm's talk with the master and anvil, against scripted servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from roost.ipc import anvil
from services.doveadm import cli

MASTER_HELLO = b"VERSION\tmaster-server\t1\t0\n"
ANVIL_HELLO = b"VERSION\tanvil-server\t2\t0\n"


class Server:
    """Answers each line by a table; what is not in it ends the connection."""

    def __init__(self, path: Path, hello: bytes, answers: dict[bytes, bytes]) -> None:
        self.answers = answers
        self.hello = hello
        self.seen: list[bytes] = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                peer.sendall(self.hello)
                for line in lines:
                    self.seen.append(line)
                    if line.startswith(b"VERSION") or line == b"\n":
                        continue
                    answer = self.answers.get(line)
                    if answer is None:
                        break
                    peer.sendall(answer)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    conf = tmp_path / "roost.conf"
    conf.write_text(f"base_dir = {tmp_path}\ndefault_internal_user =\ndefault_internal_group =\n")

    def call(*argv: str) -> tuple[int, str, str]:
        status = cli.main(["-c", str(conf), *argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


SERVICES = b"auth\t1\t4095\t1\t4096\t0\t0\t0\t0\tn\ty\tn\t1\t2\nimap\t2\t2000\t16\t1000\t0\t0\t0\t0\tn\tn\tn\t2\t7\n\n"
PROCESSES = b"imap\t77\t1000\t0\t1\t2\t0\tready\t0\t5\n\n"


def test_service_status(run: Run, tmp_path: Path) -> None:
    server = Server(tmp_path / "master", MASTER_HELLO, {b"SERVICE-STATUS\n": SERVICES})
    status, out, _ = run("service", "status", "imap")
    assert status == 0
    assert out.startswith("name: imap\nprocess_count: 2\nprocess_avail: 2000\n") and out.endswith("clients: 7\n")
    assert run("-f", "json", "service", "status")[1].startswith('[{"name":"auth","process_count":1,')
    assert run("service status", "nosuch")[:2] == (0, "")
    server.close()


def test_process_status(run: Run, tmp_path: Path) -> None:
    server = Server(
        tmp_path / "master", MASTER_HELLO, {b"PROCESS-STATUS\n": PROCESSES, b"PROCESS-STATUS\timap\n": PROCESSES}
    )
    assert run("-f", "tab", "process", "status", "imap")[1].splitlines()[1] == "imap\t77\t1000\t0\t1\t2\t0\tready\t0\t5"
    assert run("process", "status")[0] == 0
    server.close()


def test_orders(run: Run, tmp_path: Path) -> None:
    answers = {
        b"RELOAD\n": b"+\n",
        b"STOP\timap\n": b"+\n",
        b"STOP\tnosuch\n": b"-Unknown service: nosuch\n",
    }
    server = Server(tmp_path / "master", MASTER_HELLO, answers)
    assert run("reload") == (0, "", "")
    assert run("service", "stop", "imap") == (0, "", "")
    assert run("service", "stop", "nosuch") == (68, "", "Error: Unknown service: nosuch\n")
    assert run("stop")[0] == 75, "the script ends the connection without a word"
    answers[b"SHUTDOWN\n"] = b"+\n"
    answers[b"RELOAD\n"] = b"-roost.conf line 3: x\n"
    assert run("reload") == (78, "", "Error: roost.conf line 3: x; the old configuration stays in force\n")
    server.close()


def test_nothing_runs(run: Run, tmp_path: Path) -> None:
    for words in (("reload",), ("stop",), ("service", "status")):
        status, _, err = run(*words)
        assert status == 75 and err == f"Fatal: Roost is not running (read from {tmp_path}/master.pid)\n"
    assert run("who")[0] == 75


def test_a_foreign_server_is_refused(run: Run, tmp_path: Path) -> None:
    master = Server(tmp_path / "master", b"* OK IMAP\n", {})
    other = Server(tmp_path / "anvil", b"VERSION\tanvil-server\t9\t0\n", {})
    assert run("reload")[0] == 75
    assert run("who")[0] == 75
    master.close()
    other.close()


ROWS = (
    anvil.SessionRow(4081, "tss", "imap", "127.0.0.1", "s1"),
    anvil.SessionRow(4082, "bob", "imap", "192.0.2.7", "s2"),
    anvil.SessionRow(4080, "tss", "imap", "127.0.0.1", "s3"),
    anvil.SessionRow(4080, "tss", "lmtp", "", "s4"),
    anvil.SessionRow(4083, "evil\x1b[31m\t", "imap", "2001:db8::1", "s5"),
)


@pytest.fixture
def anvil_server(tmp_path: Path) -> Server:
    dump = b"\n" + b"".join(anvil.row_line(row) for row in ROWS) + b"\n"
    return Server(tmp_path / "anvil", ANVIL_HELLO, {b"CONNECT-DUMP\n": dump})


def test_who(run: Run, anvil_server: Server) -> None:
    status, out, _ = run("who")
    assert status == 0
    assert out.splitlines()[:4] == [
        "username       # service (pids)      (ips)",
        "tss            2 imap    (4081 4080) (127.0.0.1)",
        "bob            1 imap    (4082)      (192.0.2.7)",
        "tss            1 lmtp    (4080)      ()",
    ]
    assert "\x1b" not in out
    assert run("who", "-f", "json", "b*")[1] == (
        '[{"username":"bob","connections":"1","service":"imap","pids":"(4082)","ips":"(192.0.2.7)"}]'
    )


def test_who_one_row_a_connection(run: Run, anvil_server: Server) -> None:
    out = run("-f", "tab", "who", "-1", "TSS")[1]
    assert out.splitlines() == [
        "username\tservice\tpid\tip\tdest_ip\tsession",
        "tss\timap\t4081\t127.0.0.1\t\ts1",
        "tss\timap\t4080\t127.0.0.1\t\ts3",
        "tss\tlmtp\t4080\t\t\ts4",
    ]


def test_who_by_network(run: Run, anvil_server: Server) -> None:
    assert run("-hf", "tab", "who", "-1", "127.0.0.0/8")[1].count("\n") == 2
    assert run("-hf", "tab", "who", "-1", "2001:db8::/32")[1].count("\n") == 1
    assert run("-hf", "tab", "who", "-1", "tss", "127.0.0.1")[1].count("\n") == 2
    assert run("-hf", "tab", "who", "12345")[1] == ""
    status, _, err = run("who", "10.0.0.0/8", "192.0.2.0/24")
    assert status == 64 and "Multiple network masks not supported" in err


def test_a_silent_server_is_given_up(run: Run, tmp_path: Path) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "anvil"))
    silent.listen()
    status, _, err = run("-o", "doveadm_timeout=1s", "who")
    assert status == 75 and "does not answer in time" in err
    silent.close()
