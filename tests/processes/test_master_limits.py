"""How many processes: prefork, on demand, the full house, idle ones, memory, one socket a process."""

from __future__ import annotations

from pathlib import Path

from kit.running import TestMaster
from kit.wait import wait_for


def test_processes_are_started_on_demand(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "process_min_avail = 0\nclient_limit = 1\nprocess_limit = 3") as master:
        assert master.pids("imap") == set()
        sessions = [master.connect() for _ in range(3)]
        pids = {session.ask("PID") for session in sessions}
        assert len(pids) == 3
        assert master.service("imap").clients == 3


def test_one_is_always_kept_available(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "process_min_avail = 2\nclient_limit = 1\nprocess_limit = 5") as master:
        sessions = [master.connect() for _ in range(2)]
        assert all(session.ask("hello") for session in sessions)
        wait_for(lambda: len(master.pids("imap", "ready")) == 2 and len(master.pids("imap", "busy")) == 2)


def test_a_full_house_is_reported_and_heals(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "client_limit = 1\nprocess_limit = 2") as master:
        inside = [master.connect() for _ in range(2)]
        assert all(session.ask("hello") for session in inside)
        waiting = master.connect()
        master.wait_log("service(imap): process_limit (2) reached, client connections are being dropped")
        assert master.service("imap").listen_pending
        # The newcomer stays in the kernel's queue for a while, and is served when somebody leaves.
        inside[0].close()
        assert waiting.ask("hello") == "echo hello"


def test_newcomers_are_turned_away_when_the_house_stays_full(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "client_limit = 1\nprocess_limit = 1") as master:
        inside = master.connect()
        inside.ask("hello")
        waiting = master.connect()
        master.wait_log("client_limit (1) reached, client connections are being dropped")
        wait_for(waiting.ended, 20)
        assert inside.ask("still here") == "echo still here"
        inside.close()
        wait_for(lambda: master.pids("imap", "ready"))
        assert master.ask("hello") == "echo hello"


def test_surplus_idle_processes_leave(tmp_path: Path) -> None:
    limits = "process_min_avail = 1\nclient_limit = 1\nprocess_limit = 6\nidle_kill_interval = 1s"
    with TestMaster(tmp_path, limits) as master:
        sessions = [master.connect() for _ in range(4)]
        assert all(session.ask("hello") for session in sessions)
        assert len(master.pids("imap")) >= 4
        for session in sessions[1:]:
            session.close()
        wait_for(lambda: len(master.pids("imap")) == 2, 15)
        assert sessions[0].ask("still here") == "echo still here"
        assert "returned error" not in master.log_text() and "killed" not in master.log_text()


def test_a_worker_that_reaches_its_memory_limit_says_so(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "vsz_limit = 400M") as master:
        (pid,) = master.pids("imap")
        assert master.ask("EAT 500") == ""
        master.wait_log(f"child {pid} returned error 83 (Out of memory (service imap {{ vsz_limit=400 MB }}")
        wait_for(lambda: master.pids("imap", "ready"))


def test_reuse_port_gives_every_process_its_own_socket(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "reuse_port = yes\nprocess_min_avail = 3\nprocess_limit = 3") as master:

        def inodes(pid: int) -> str:
            return str((Path(f"/proc/{pid}/fd") / "9").readlink())

        assert len({inodes(pid) for pid in master.pids("imap")}) == 3
        seen = {master.ask("PID") for _ in range(60)}
        assert len(seen) > 1
        assert master.reload() == ""
        assert master.ask("hello") == "echo hello"


def test_stop_of_one_service_until_reload(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        with master.control() as client:
            assert client.order("STOP", "imap") == ""
            assert client.order("STOP", "nosuch") == "Unknown service: nosuch"
        wait_for(lambda: not master.pids("imap"))
        assert master.service("imap").stopped
        assert master.reload() == ""
        assert master.ask("hello") == "echo hello"
