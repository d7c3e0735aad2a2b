"""The real rooms under the real master: sessions across a reload, good-byes, a killed master, exec."""

from __future__ import annotations

import imaplib
import os
import signal
import ssl
from pathlib import Path

from kit.instance import PASSWORD, Instance
from kit.mail import deliver, letter
from kit.running import alive
from kit.wait import wait_for


def login(roost: Instance, user: str = "u1") -> imaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=str(roost.ca_file))
    client = imaplib.IMAP4_SSL("localhost", roost.imaps_port, ssl_context=context, timeout=20)
    client.login(user, PASSWORD)
    return client


def test_an_idling_session_of_the_old_configuration_hears_of_mail_delivered_by_the_new(tmp_path: Path) -> None:
    with Instance(tmp_path) as roost:
        old = login(roost)
        old.select()
        processes, lmtp = roost.pids("imap"), roost.pids("lmtp")
        roost.configure("login_greeting = Second life")
        assert roost.reload() == ""
        wait_for(lambda: not processes & roost.pids("imap", "ready") and not lmtp & roost.pids("lmtp"))
        assert old.noop()[0] == "OK"
        new = login(roost)
        assert b"Second life" in new.welcome
        old.send(b"I1 IDLE\r\n")
        assert old.readline().startswith(b"+")
        deliver(roost, "u1", [letter(1)])
        assert b"EXISTS" in old.readline()
        new.logout()
        old.shutdown()
        wait_for(lambda: not processes & roost.pids("imap"))


def test_clients_are_told_good_bye(tmp_path: Path) -> None:
    with Instance(tmp_path) as roost:
        client = login(roost)
        roost.signal(signal.SIGTERM)
        assert client.readline().startswith(b"* BYE")
        assert roost.process is not None
        assert roost.process.wait(15) == 0


def test_a_killed_master_leaves_no_room_and_the_next_one_finds_the_mail(tmp_path: Path) -> None:
    with Instance(tmp_path) as roost:
        deliver(roost, "u1", [letter(1), letter(2)])
        client = login(roost)
        client.select()
        children = roost.pids()
        assert len(children) >= 6
        roost.kill_master()
        wait_for(lambda: not any(alive(pid) for pid in children), 15)
        roost.start()
        assert login(roost).select() == ("OK", [b"2"])


def test_rooms_started_by_exec(tmp_path: Path) -> None:
    blocks = "".join(f"service {name} {{\n  spawn = exec\n}}\n" for name in ("imap", "lmtp", "auth", "anvil", "notify"))
    with Instance(tmp_path, blocks) as roost:
        deliver(roost, "u1", [letter(1)])
        client = login(roost)
        assert client.select() == ("OK", [b"1"])
        client.logout()


def test_a_crashed_auth_process_is_replaced_and_logins_go_on(tmp_path: Path) -> None:
    with Instance(tmp_path) as roost:
        login(roost).logout()
        (pid,) = roost.pids("auth")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: pid not in roost.pids("auth") and roost.pids("auth", "ready"))
        login(roost).logout()
