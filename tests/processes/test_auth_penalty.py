"""Penalties in a whole Roost: a failure makes the address wait, also at the next auth process; trusted ones do not."""

from __future__ import annotations

import imaplib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit.auth_room import Lines, plain
from kit.instance import Instance
from kit.wait import wait_for

CONF = """
auth_failure_delay = 0
auth_allow_cleartext = yes
ssl = no
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0600
  }
}
"""


def client(roost: Instance) -> Lines:
    lines = Lines(str(roost.auth_socket))
    lines.send("VERSION\t1\t4\nCPID\t4711\n")
    while lines.next() != "DONE":
        pass
    return lines


def answer(roost: Instance, password: str, rip: str) -> str:
    """The answer to PLAIN; CANCELLED when the attempt waits."""
    lines = client(roost)
    given = f"service=imap\trip={rip}\tresp={plain('u1', password)}"
    lines.send(f"AUTH\t1\tPLAIN\t{given}\nCANCEL\t1\n")
    found = lines.next().partition("\t")[0]
    lines.close()
    return found


def penalties(roost: Instance, *masks: str) -> list[list[str]]:
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-m", "services.doveadm.cli", "-c", str(roost.config_file)),
            *("-o", f"base_dir={roost.base_dir}", "-f", "tab", "penalty", *masks),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()[1:]]


def test_a_failure_outlives_the_auth_process(tmp_path: Path) -> None:
    with Instance(tmp_path, CONF) as roost:
        wait_for(lambda: answer(roost, "no", "192.0.2.9") == "CANCELLED", 20, "the address waits")
        assert answer(roost, "pw", "192.0.2.10") == "OK"
        assert answer(roost, "pw", "2001:db8:1::1") == "OK"
        rows = penalties(roost)
        assert [(row[0], row[1]) for row in rows] == [("192.0.2.9", "1")]
        assert penalties(roost, "198.51.100.0/24") == []
        (pid,) = roost.pids("auth")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: roost.pids("auth") - {pid}, 20, "another auth process")
        assert answer(roost, "pw", "192.0.2.10") == "OK"
        wait_for(
            lambda: answer(roost, "pw", "192.0.2.9") == "CANCELLED" or not penalties(roost), 20, "it is known again"
        )
        assert penalties(roost), "29 seconds were not over"


def test_trusted_networks(tmp_path: Path) -> None:
    """Each connection fails as often as it may; the last login would wait for 15 seconds."""
    conf = CONF + "login_trusted_networks = 127.0.0.0/8\n"
    with Instance(tmp_path, conf) as roost:
        for number in range(3):
            with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap, pytest.raises(imaplib.IMAP4.error):
                imap.login("u1", f"no{number}")
        assert penalties(roost) == []
        with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap:
            imap.login("u1", "pw")
