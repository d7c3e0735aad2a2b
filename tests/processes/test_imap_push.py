"""A change made in one process reaches an IDLEing session in another."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from kit.imap_client import Client, worker_pids
from kit.instance import Instance
from kit.wait import wait_for

CONF = """
service imap {
  process_min_avail = 4
}
"""


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), CONF) as instance:
        yield instance


def two_in_two_processes(roost: Instance, user: str) -> tuple[Client, Client]:
    first = Client(roost.imap_port, user)
    for logins in range(2, 40):
        second = Client(roost.imap_port, user)
        wait_for(lambda wanted=logins: len(worker_pids(roost.log_text(), user)) >= wanted)
        pids = worker_pids(roost.log_text(), user)
        if pids[-1] != pids[0]:
            return first, second
        second.command(b"Z LOGOUT")
    pytest.fail("all sessions went to one process")


def test_everything_is_pushed(roost: Instance) -> None:
    watcher, actor = two_in_two_processes(roost, "u1")
    for client in (watcher, actor):
        client.command(b"S SELECT INBOX")
    watcher.send(b"I IDLE\r\n")
    assert watcher.line().startswith(b"+ ")
    actor.command(b"A APPEND INBOX {5+}\r\nhello")
    assert watcher.line() == b"* 1 EXISTS"
    assert watcher.line().endswith(b" RECENT")
    actor.command(b"B STORE 1 +FLAGS (\\Seen $Mark)")
    assert watcher.line().startswith(b"* FLAGS ")
    assert watcher.line().startswith(b"* OK [PERMANENTFLAGS ")
    assert b"\\Seen" in watcher.line()
    actor.command(b"C STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"\\Deleted" in watcher.line()
    actor.command(b"D EXPUNGE")
    assert watcher.line() == b"* 1 EXPUNGE"
    watcher.send(b"DONE\r\n")
    while not watcher.line().startswith(b"I OK"):
        pass


def test_a_hundred_messages_each_come_once(roost: Instance) -> None:
    watcher, actor = two_in_two_processes(roost, "u2")
    watcher.command(b"S SELECT INBOX")
    watcher.send(b"I IDLE\r\n")
    watcher.line()
    for n in range(100):
        actor.send(b"A%d APPEND INBOX {5+}\r\nhello\r\n" % n)
    actor.until(b"A99")
    count = 0
    while count < 100:
        line = watcher.line()
        if line.endswith(b" EXISTS"):
            assert int(line.split()[1]) > count
            count = int(line.split()[1])
    watcher.send(b"DONE\r\n")


def test_idle_goes_on_over_a_restart_of_notify(roost: Instance) -> None:
    watcher, actor = two_in_two_processes(roost, "u3")
    watcher.command(b"S SELECT INBOX")
    watcher.send(b"I IDLE\r\n")
    watcher.line()
    (pid,) = roost.pids("notify")
    os.kill(pid, signal.SIGKILL)
    actor.command(b"A APPEND INBOX {5+}\r\nhello")
    assert watcher.line() == b"* 1 EXISTS"


def test_a_polite_stop_says_bye(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Instance(tmp_path_factory.mktemp("stopping")) as own:
        client = Client(own.imap_port, "u1")
        client.send(b"I IDLE\r\n")
        client.line()
        own.stop()
        assert client.line().startswith(b"* BYE ")
