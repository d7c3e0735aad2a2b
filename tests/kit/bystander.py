"""Is everybody else well while something bad goes on? Bystanders that say NOOP all the time, and facts from /proc.

``with unharmed(instance):`` around an attack asserts afterwards that other IMAP and LMTP clients were answered all
along, that no process died, that nothing was logged with a traceback, and that a fresh client can log in and get mail.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.instance import Instance
from kit.mail import letter
from kit.rawclient import RawClient, lmtp

NOOP_SECS = 5.0  # promised is much less (spec: 100 ms); a busy machine must not make a test fail
ONE_WORKER = """
auth_username_format = %{user | username | lower}
service imap {
  process_min_avail = 1
  process_limit = 1
}
service lmtp {
  process_min_avail = 1
  process_limit = 1
}
"""
"""Attacker and bystander are served by the same process."""


class Bystander:
    """An IMAP and an LMTP client; each says NOOP and must be answered.

    ``only_imap``: for a reload, after which a process of lmtp says good-bye to clients between two messages.
    """

    def __init__(self, instance: Instance, user: str, *, only_imap: bool = False) -> None:
        self._imap = RawClient(instance.imap_port, deadline_secs=NOOP_SECS).login(user)
        self._imap.command(b"S SELECT INBOX")
        self._lmtp = None if only_imap else lmtp(instance.lmtp_socket)
        if self._lmtp is not None:
            self._lmtp.sock.settimeout(NOOP_SECS)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0
        self.slowest_secs = 0.0
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Raises what went wrong, if anything did. At least one whole round has been made."""
        self._end.set()
        self._thread.join()
        self._imap.close()
        if self._lmtp is not None:
            self._lmtp.close()
        if self.failure is not None:
            raise AssertionError(f"a bystander was harmed: {self.failure!r}") from self.failure

    def _run(self) -> None:
        try:
            while not self.rounds or not self._end.wait(0.02):
                self._round()
        except BaseException as exc:
            self.failure = exc

    def _round(self) -> None:
        begun = time.monotonic()
        assert self._imap.command(b"%d NOOP" % self.rounds)[-1].split()[1] == b"OK"
        between = time.monotonic()
        if self._lmtp is not None:
            assert self._lmtp.say(b"NOOP")[0].startswith(b"250 ")
        self.slowest_secs = max(self.slowest_secs, between - begun, time.monotonic() - between)
        self.rounds += 1


@contextmanager
def unharmed(instance: Instance, user: str = "u9", *, deliver: bool = True) -> Iterator[Bystander]:
    """See the head of this file. ``deliver`` False: there is no room for mail now."""
    pids = instance.pids()
    logged = len(instance.log_text())
    bystander = Bystander(instance, user)
    bystander.start()
    try:
        yield bystander
    finally:
        bystander.stop()
    assert instance.pids() >= pids, f"a process died\n{instance.report()}"
    said = instance.log_text()[logged:]
    for word in ("Traceback", "Fatal", "Panic", "INTERNAL"):
        assert word not in said, said
    still_serves(instance, user, deliver=deliver)


def still_serves(instance: Instance, user: str, *, deliver: bool = True) -> None:
    """A new client logs in, and a new letter arrives."""
    with RawClient(instance.imap_port).login(user) as imap:
        before = _messages(imap)
        if not deliver:
            return
        with lmtp(instance.lmtp_socket, recipients=(f"{user}@example.org",)) as mta:
            mta.send(letter(before) + b".\r\n")
            assert mta.reply().startswith(b"250 ")
        assert _messages(imap) == before + 1


def _messages(imap: RawClient) -> int:
    (row, done) = imap.command(b"C STATUS INBOX (MESSAGES)")[-2:]
    assert done.startswith(b"C OK"), done
    return int(row.rpartition(b" ")[2].rstrip(b")"))


def rss_octets(pid: int) -> int:
    """Memory of a process that is in use, its own and shared."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_secs(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """Open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def only(instance: Instance, service: str) -> int:
    """The one process of a service."""
    (pid,) = instance.pids(service)
    return pid
