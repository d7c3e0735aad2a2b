"""A forked worker from READY to its exit code: status records, every signal, a dead master, faults."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from kit.wait import wait_for
from kit.worker import LOOPS, Child, Client, Config, settings, tcp_socket, unix_socket

from roost.proc.contract import EXIT_CANNOT_BOOT, EXIT_CONFIG, EXIT_TEMPORARY, RETIRED
from roost.proc.privileges import Privileges

Start = Callable[..., tuple[Child, socket.socket]]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[tuple[Child, socket.socket]] = []

    def make(sock: socket.socket | None = None, config: Any = None, loop: str = "uvloop", **values: Any) -> Any:
        values.setdefault("client_limit", 10)
        values.setdefault("protocol", "toy")
        sock = sock or tcp_socket()
        child = Child("kit.toyroom", settings(**values), [(sock, {})], config, loop_kind=loop)
        made.append((child, sock))
        return child, sock

    yield make
    for child, sock in made:
        child.close()
        sock.close()


def last(child: Child) -> int:
    records = child.records()
    assert all(pid == child.pid and generation == child.generation for pid, generation, _count in records)
    return records[-1][2] if records else -1


@pytest.mark.parametrize("loop", LOOPS)
def test_ready_serve_and_stop_politely(start: Start, loop: str) -> None:
    child, sock = start(loop=loop)
    wait_for(lambda: child.records())
    assert last(child) == 10
    client = Client.to(sock)
    assert client.line() == b"* OK door0 plain\n"
    client.send(b"hello\n")
    assert client.line() == b"hello\n"
    wait_for(lambda: last(child) == 9)
    child.kill(signal.SIGTERM)
    assert client.rest() == b"* BYE shutting down\n"
    assert child.wait() == 0
    assert last(child) == RETIRED
    assert child.log_text() == ""


def test_quit_waits_for_the_clients_and_takes_no_new_ones(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    child.kill(signal.SIGQUIT)
    wait_for(lambda: last(child) == RETIRED)
    late = Client.to(sock)  # the kernel still queues it for whoever listens next
    client.send(b"still\n")
    assert client.line() == b"still\n"
    client.send(b"quit\n")
    assert client.rest() == b"* BYE\n"
    client.close()
    assert child.wait() == 0
    late.close()


def test_term_shortens_a_drain(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    child.kill(signal.SIGQUIT)
    wait_for(lambda: last(child) == RETIRED)
    child.kill(signal.SIGTERM)
    assert client.rest() == b"* BYE shutting down\n"
    assert child.wait() == 0


def test_int_ends_only_an_idle_worker(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    before = len(child.records())
    child.kill(signal.SIGINT)
    wait_for(lambda: len(child.records()) > before)  # "not now", said with a record
    client.send(b"here\n")
    assert client.line() == b"here\n"
    client.send(b"quit\n")
    client.rest()
    client.close()
    wait_for(lambda: last(child) == 10)
    child.kill(signal.SIGINT)
    assert child.wait() == 0


def test_a_dead_master_ends_it_politely(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    child.master_dies()
    assert client.rest() == b"* BYE shutting down\n"
    assert child.wait() == 0


def test_a_draining_worker_outlives_the_master(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    child.kill(signal.SIGQUIT)
    wait_for(lambda: last(child) == RETIRED)
    child.master_dies()
    for _ in range(20):
        client.send(b"on and on\n")
        assert client.line() == b"on and on\n"
    client.send(b"quit\n")
    client.rest()
    client.close()
    assert child.wait() == 0


def test_a_drain_that_hangs_is_cut(start: Start) -> None:
    child, sock = start(protocol="")
    client = Client.to(sock)
    client.line()
    client.send(b"hang\n")
    client.line()
    child.kill(signal.SIGTERM)
    client.rest()
    assert child.wait() == 0
    assert "leaving now" in child.log_text()


@pytest.mark.parametrize("loop", LOOPS)
def test_client_limit_sends_others_away_from_here(start: Start, loop: str) -> None:
    child, sock = start(client_limit=2, loop=loop)
    clients = [Client.to(sock) for _ in range(3)]
    greeted = wait_for(lambda: [client for client in clients if _has_data(client)][1:] and clients)
    wait_for(lambda: last(child) == 0)
    waiting = [client for client in greeted if not _has_data(client)]
    assert len(waiting) == 1
    served = next(client for client in clients if client is not waiting[0])
    served.line()
    served.send(b"quit\n")
    served.rest()
    served.close()
    assert waiting[0].line() == b"* OK door0 plain\n"
    for client in clients:
        client.close()
    wait_for(lambda: last(child) == 2)


def _has_data(client: Client) -> bool:
    client.sock.setblocking(False)
    try:
        return bool(client.sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.sock.settimeout(10)


def test_restart_request_count_retires(start: Start) -> None:
    child, sock = start(restart_request_count=2)
    wait_for(lambda: last(child) == 2)
    one, two = Client.to(sock), Client.to(sock)
    one.line(), two.line()
    wait_for(lambda: last(child) == RETIRED)
    for client in (one, two):
        client.send(b"quit\n")
        client.rest()
        client.close()
    assert child.wait() == 0


def test_two_workers_share_a_listener_and_none_is_lost(start: Start) -> None:
    child, sock = start()
    other, _ = start(sock)
    wait_for(lambda: child.records() and other.records())
    clients = [Client.to(sock) for _ in range(20)]
    pids = []
    for client in clients:
        assert client.line().startswith(b"* OK")
        client.send(b"pid\n")
        pids.append(int(client.line()))
    assert sorted(pids) == sorted([child.pid] * 10 + [other.pid] * 10)  # client_limit is 10
    for client in clients:
        client.close()


def test_a_worker_that_stops_leaves_the_waiting_to_others(start: Start) -> None:
    child, sock = start()
    other, _ = start(sock)
    wait_for(lambda: child.records() and other.records())
    child.kill(signal.SIGTERM)
    assert child.wait() == 0
    for _ in range(5):
        client = Client.to(sock)
        client.send(b"pid\n")
        client.line()
        assert int(client.line()) == other.pid
        client.close()


def test_faults_are_logged_with_traceback_and_cost_one_connection(start: Start) -> None:
    child, sock = start()
    good, bad = Client.to(sock), Client.to(sock)
    good.line(), bad.line()
    bad.send(b"boom\n")
    assert bad.rest() == b""
    good.send(b"spawn\n")
    assert good.line() == b"spawned\n"
    text = wait_for(lambda: "task failed" in child.log_text() and child.log_text())
    assert "RuntimeError: boom" in text and text.count("Traceback") == 2
    assert all(line.startswith("\x01Etoy: ") for line in text.splitlines())
    good.send(b"alive\n")
    assert good.line() == b"alive\n"


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("config", EXIT_CONFIG, "toy_key"),
        ("unavailable", EXIT_TEMPORARY, "later"),
        ("bug", EXIT_CANNOT_BOOT, "start failed"),
    ],
)
def test_a_start_that_fails(start: Start, fault: str, code: int, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAULT", fault)
    child, _sock = start()
    assert child.wait() == code
    assert child.records() == [] and word in child.log_text()


def test_missing_keys_are_a_configuration_error(tmp_path: Any) -> None:
    sock = tcp_socket()
    config = Config(ssl_server_cert_file=str(tmp_path / "none.pem"))
    child = Child("kit.toyroom", settings(), [(sock, {"ssl": True})], config)
    try:
        assert child.wait() == EXIT_CONFIG
        assert "ssl_server_cert_file" in child.log_text() and "none.pem" in child.log_text()
    finally:
        child.close()
        sock.close()


def test_unix_listeners(start: Start, tmp_path: Any) -> None:
    _child, sock = start(unix_socket(tmp_path / "s"))
    client = Client.to(sock)
    assert client.line() == b"* OK door0 plain\n"
    client.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_path_of_a_unix_listener_survives_its_workers(start: Start, loop: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    child, sock = start(unix_socket(path), loop=loop, client_limit=1)
    client = Client.to(sock)
    client.line()
    wait_for(lambda: last(child) == 0)  # full: the listener left the loop
    assert path.exists()
    client.close()
    wait_for(lambda: last(child) == 1)
    child.kill(signal.SIGTERM)
    assert child.wait() == 0
    assert path.exists()


def test_a_stuck_worker_has_an_alarm_set(start: Start) -> None:
    child, sock = start()
    client = Client.to(sock)
    client.line()
    client.send(b"block\n")
    os.kill(child.pid, signal.SIGALRM)  # what the kernel would send after SELF_WATCHDOG_SECS
    assert child.wait() == -signal.SIGALRM
    client.close()


def test_the_load_spreads_over_workers(start: Start) -> None:
    child, sock = start(client_limit=1000)
    other, _ = start(sock, client_limit=1000)
    wait_for(lambda: child.records() and other.records())
    served = {child.pid: 0, other.pid: 0}
    clients = []
    for _ in range(200):
        client = Client.to(sock)
        client.line()
        client.send(b"pid\n")
        served[int(client.line())] += 1
        clients.append(client)
    assert min(served.values()) >= 10, served  # not halves: on a busy machine one of them is often late
    for client in clients:
        client.close()


def test_the_title_tells_how_many_there_are() -> None:
    sock = tcp_socket()
    child = Child("kit.toyroom", settings(client_limit=10), [(sock, {})], titles=True)
    try:
        client = Client.to(sock)
        client.line()
        title = Path(f"/proc/{child.pid}/cmdline")
        wait_for(lambda: b"roost/toy [1 connection]" in title.read_bytes())
        client.send(b"quit\n")
        client.rest()
        client.close()
        wait_for(lambda: b"roost/toy [idle]" in title.read_bytes())
    finally:
        child.close()
        sock.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
def test_keys_are_read_before_the_rights_are_dropped(tmp_path: Path) -> None:
    authority = trustme.CA()
    pem = tmp_path / "server.pem"
    pem.touch(mode=0o600)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    nobody = pwd.getpwnam("nobody")
    privileges = Privileges(nobody.pw_uid, nobody.pw_gid, (nobody.pw_gid,), "", False)
    sock = tcp_socket()
    config = Config(ssl_server_cert_file=str(pem))
    child = Child("kit.toyroom", settings(), [(sock, {"ssl": True})], config, privileges=privileges)
    try:
        wait_for(lambda: child.records() or child.log_text())
        context = ssl.create_default_context()
        authority.configure_trust(context)
        plain = socket.create_connection(sock.getsockname(), timeout=10)
        client = Client(context.wrap_socket(plain, server_hostname="localhost"))
        assert client.line() == b"* OK door0 secured\n"
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
        client.close()
    finally:
        child.close()
        sock.close()
