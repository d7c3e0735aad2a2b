"""Children that crash, never start, or do not obey; and a master that is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from kit.running import TestMaster, alive
from kit.wait import wait_for


def test_a_crash_is_logged_with_its_traceback_and_replaced(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        (pid,) = master.pids("imap")
        assert master.ask("CRASH for a test") == ""
        wait_for(lambda: pid not in master.pids("imap") and master.pids("imap", "ready"))
        assert master.ask("hello") == "echo hello"
        log = master.log_text()
        assert f"imap[{pid}]: Error: Traceback (most recent call last):" in log
        assert f"imap[{pid}]: Error: RuntimeError: for a test" in log
        assert f"service(imap): child {pid} returned error 1" in log
        assert log.index("RuntimeError") < log.index("returned error 1")


def test_a_killed_child_is_named_with_its_signal(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        (pid,) = master.pids("imap")
        os.kill(pid, signal.SIGKILL)
        master.wait_log(f"service(imap): child {pid} killed with signal 9 (SIGKILL)")
        wait_for(lambda: master.pids("imap", "ready"))


def test_a_segmentation_fault_leaves_a_traceback(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        (pid,) = master.pids("imap")
        os.kill(pid, signal.SIGSEGV)
        master.wait_log(f"child {pid} killed with signal 11")
        assert f"imap[{pid}]: Error: Fatal Python error: Segmentation fault" in master.log_text()


def test_a_service_that_never_gets_ready_is_throttled_and_harms_no_other(tmp_path: Path) -> None:
    master = TestMaster(tmp_path, rooms={"auth": "tests.kit.rooms.broken"})
    master.launch()
    try:
        master.wait_log("service(auth): command startup failed, throttling for 2.000 secs")
        master.wait_log("throttling for 4.000 secs")
        assert master.ask("hello") == "echo hello"
        row = master.service("auth")
        assert 0 < row.throttle_secs <= 4 and row.process_count == 0 and row.process_total == 2
        shown = master.run("status")
        assert shown.returncode == os.EX_TEMPFAIL and "throttled for" in shown.stdout
        assert "RuntimeError: this room is broken" in master.log_text()
    finally:
        master.stop()


def test_a_room_that_cannot_be_imported_is_reported_and_throttled(tmp_path: Path) -> None:
    master = TestMaster(tmp_path, rooms={"lmtp": "x", "auth": "tests.kit.rooms.missing"})
    master.launch()
    try:
        master.wait_log("cannot load tests.kit.rooms.missing")
        master.wait_log("service(auth): command startup failed")
        assert master.ask("hello") == "echo hello"
    finally:
        master.stop()


def test_a_killed_master_leaves_no_child(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "process_min_avail = 3") as master:
        session = master.connect()
        session.ask("hello")
        children = master.pids()
        assert len(children) == 6
        master.kill_master()
        wait_for(lambda: not any(alive(pid) for pid in children))
        # And the next master starts over the remains.
        master.start()
        assert master.ask("hello") == "echo hello"


def test_term_stops_everything_within_seconds_and_says_so(tmp_path: Path) -> None:
    with TestMaster(tmp_path, "process_min_avail = 3") as master:
        session = master.connect()
        session.ask("hello")
        children = master.pids()
        master.signal(signal.SIGTERM)
        assert master.process is not None
        assert master.process.wait(8) == 0
        assert not any(alive(pid) for pid in children)
        assert session.ended()
        assert "Killed with signal 15" in master.log_text() and "Stopped" in master.log_text()
        assert not (master.base_dir / "master.pid").exists()
        assert not (master.base_dir / "auth-login").exists()
        assert not (master.base_dir / "master").exists()


def test_a_child_that_ignores_everything_is_killed_on_stop(tmp_path: Path) -> None:
    with TestMaster(tmp_path, rooms={"imap": "tests.kit.rooms.stubborn"}) as master:
        children = master.pids()
        master.signal(signal.SIGINT)
        assert master.process is not None
        assert master.process.wait(15) == 0
        assert not any(alive(pid) for pid in children)
        assert "does not leave when told, killing it" in master.log_text()


def test_a_second_term_does_not_wait(tmp_path: Path) -> None:
    with TestMaster(tmp_path, rooms={"imap": "tests.kit.rooms.stubborn"}) as master:
        master.signal(signal.SIGTERM)
        master.wait_log("Killed with signal 15")
        begun = time.monotonic()
        master.signal(signal.SIGTERM)
        assert master.process is not None
        assert master.process.wait(10) == 0
        assert "does not leave when told" not in master.log_text(), f"waited {time.monotonic() - begun} s"


def test_sessions_may_outlive_the_master_when_shutdown_clients_is_no(tmp_path: Path) -> None:
    with TestMaster(tmp_path, top="shutdown_clients = no") as master:
        session = master.connect()
        pid = int(session.ask("PID"))
        assert master.run("stop").returncode == 0
        assert session.ask("hello") == "echo hello"
        session.close()
        wait_for(lambda: not alive(pid))


def test_usr2_is_ignored(tmp_path: Path) -> None:
    with TestMaster(tmp_path) as master:
        master.signal(signal.SIGUSR2)
        assert master.ask("hello") == "echo hello"
