"""Clients that do not read, never finish, or come in thousands: bounded memory, an end for each, others are served."""

from __future__ import annotations

import re
import resource
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, descriptors, only, rss_octets, unharmed
from kit.instance import Instance
from kit.mail import deliver, letter
from kit.rawclient import RawClient, lmtp
from kit.wait import wait_for

MIB = 1 << 20
IDLE_OCTETS = 64 * 1024  # what a connection that waits may cost

UNLIMITED = "mail_max_userip_connections = unlimited\n"


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """u1 has 40 MB of mail: big letters and many small ones."""
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER) as instance:
        deliver(instance, "u1", [letter(n, f"{n:077d}\r\n" * 8000) for n in range(40)])
        deliver(instance, "u1", [letter(n, f"{n:077d}\r\n" * 60) for n in range(40, 2040)])
        yield instance


def greedy(roost: Instance, receive_octets: int = 4096) -> RawClient:
    """A session that has asked for all mail, several times, and does not read."""
    client = RawClient(roost.imap_port, receive_octets=receive_octets).login("u1")
    client.command(b"S SELECT INBOX")
    client.send(b"".join(b"F%d FETCH 1:* (UID BODY.PEEK[])\r\n" % n for n in range(10)))
    return client


class TestNotReading:
    def test_during_fetch(self, roost: Instance) -> None:
        pid = only(roost, "imap")
        with greedy(roost) as warm:
            while not warm.buffer.endswith(b"F0 OK Fetch completed.\r\n") and len(warm.buffer) < MIB:
                warm.more()
        with unharmed(roost) as bystander:
            before = rss_octets(pid)
            clients = [greedy(roost) for _ in range(8)]
            rounds = bystander.rounds
            wait_for(lambda: bystander.rounds > rounds + 20, 60, "the bystander to be served")
            grown = rss_octets(pid) - before
            for client in clients:
                client.close()
        assert grown < 8 * 3 * MIB

    def test_and_reading_at_last(self, roost: Instance) -> None:
        """A client that paused gets everything, whole and in order."""
        with unharmed(roost), greedy(roost, 256 * 1024) as slow:
            with RawClient(roost.imap_port).login("u1") as quick:
                quick.command(b"S SELECT INBOX")
                quick.send(b"F0 FETCH 1:* (UID BODY.PEEK[])\r\n")
                while not quick.buffer.endswith(b"F0 OK Fetch completed.\r\n"):
                    assert quick.more()
                wanted = quick.buffer
            while len(slow.buffer) < len(wanted):
                assert slow.more()
            assert slow.buffer[: len(wanted)] == wanted

    @pytest.mark.parametrize(
        ("command", "login"),
        [
            (b"A NOOP", False),
            (b"A CAPABILITY", False),
            (b"A NOOP", True),
            (b'A LIST "" *', True),
            (b"A SELECT INBOX", True),
            (b"A UID SEARCH ALL", True),
        ],
    )
    def test_of_a_flood_of_commands(self, roost: Instance, command: bytes, login: bool) -> None:
        """The server stops reading: what it takes in is bounded, in memory and in octets."""
        pid = only(roost, "imap")
        with unharmed(roost), RawClient(roost.imap_port, receive_octets=4096) as client:
            if login:
                client.login("u2")
                client.command(b"S SELECT INBOX")
            before = rss_octets(pid)
            assert _pour(client, (command + b"\r\n") * 1000) < 20 * MIB  # sockets hold some
            assert rss_octets(pid) - before < 4 * MIB

    def test_of_lmtp_replies(self, roost: Instance) -> None:
        pid = only(roost, "lmtp")
        with unharmed(roost), lmtp(roost.lmtp_socket) as client:
            before = rss_octets(pid)
            assert _pour(client, b"NOOP\r\n" * 1000) < 20 * MIB
            assert rss_octets(pid) - before < 4 * MIB


class TestTooFast:
    """Commands come faster than they can be run, and the answers are read: the backlog stays with the client."""

    def test_imap(self, roost: Instance) -> None:
        pid = only(roost, "imap")
        count = 400_000
        with unharmed(roost), RawClient(roost.imap_port).login("u2") as client:
            before = rss_octets(pid)
            said = client.talk(b"A NOOP\r\n" * count, finish=True)
            assert said.count(b"A OK ") == count
            assert rss_octets(pid) - before < 4 * MIB

    def test_lmtp(self, roost: Instance) -> None:
        pid = only(roost, "lmtp")
        count = 100_000
        with unharmed(roost), lmtp(roost.lmtp_socket) as client:
            before = rss_octets(pid)
            assert client.talk(b"NOOP\r\n" * count, finish=True).count(b"250 ") == count
            assert rss_octets(pid) - before < 4 * MIB

    def test_everything_in_one_breath(self, roost: Instance) -> None:
        """Login, letters and IDLE without waiting for an answer; the line that ends IDLE comes later."""
        with unharmed(roost), RawClient(roost.imap_port) as client:
            client.line()
            letters = b"".join(b"A%d APPEND INBOX {30000+}\r\n%b\r\n" % (n, b"x" * 30_000) for n in range(40))
            client.send(b"L LOGIN u5 pw\r\nS SELECT INBOX\r\n" + letters + b"I IDLE\r\n")
            while not (line := client.line()).startswith(b"+ "):
                assert b" NO " not in line and b" BAD " not in line
            client.send(b"DONE\r\nB NOOP\r\n")
            assert client.until(b"B")[-1].startswith(b"B OK")
            assert b"* 40 EXISTS" in client.command(b"C SELECT INBOX")


def _pour(client: RawClient, octets: bytes, quiet_secs: float = 0.5) -> int:
    """Send without reading until nothing is taken for ``quiet_secs``; how many octets were taken."""
    client.sock.settimeout(quiet_secs)
    taken = 0
    with suppress(TimeoutError, ConnectionError):
        while taken < 100 * MIB:
            taken += client.sock.send(octets)
    return taken


class TestMany:
    def test_thousands_at_once(self, tmp_path: Path) -> None:
        """All are greeted; an idle one costs little; when they go, everything is given back."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(3000, hard - 1000)
        if count < 500:
            pytest.skip(f"only {hard} open files are allowed here")
        conf = UNLIMITED + (
            "auth_username_format = %{user | username | lower}\n"
            "service imap {\nprocess_min_avail = 2\nprocess_limit = 2\nclient_limit = 2500\n}\n"
        )
        clients: list[RawClient] = []
        try:
            with Instance(tmp_path, conf) as roost:
                pids = roost.pids("imap")
                before = {pid: (rss_octets(pid), descriptors(pid)) for pid in pids}
                with unharmed(roost):
                    for _ in range(count):
                        clients.append(RawClient(roost.imap_port))
                    for client in clients:
                        assert client.line().startswith(b"* OK ")
                    for client in clients[: count // 10]:
                        client.send(b"L LOGIN u1 pw\r\nS SELECT INBOX\r\nI IDLE\r\n")
                    for client in clients[: count // 10]:
                        while not client.line().startswith(b"+ "):
                            pass
                    grown = sum(rss_octets(pid) - before[pid][0] for pid in pids)
                    assert grown < count * IDLE_OCTETS
                    deliver(roost, "u1", [letter(1)])
                    for client in clients[: count // 10]:
                        assert client.line() == b"* 1 EXISTS"
                    for client in clients:
                        client.close()
                    few = {pid: before[pid][1] + 10 for pid in pids}  # the bystander and stores
                    wait_for(lambda: all(descriptors(pid) <= few[pid] for pid in pids), 20, "everybody to be gone")
        finally:
            for client in clients:
                client.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_beyond_the_limit_they_wait_for_a_place(self, tmp_path: Path) -> None:
        conf = "service imap {\nprocess_min_avail = 1\nprocess_limit = 1\nclient_limit = 20\n}\n"
        with Instance(tmp_path, conf) as roost:
            clients = [RawClient(roost.imap_port) for _ in range(30)]
            for client in clients[:20]:
                assert client.line().startswith(b"* OK ")
            for client in clients[:15]:
                client.close()
            for client in clients[20:]:
                assert client.line().startswith(b"* OK ")
                client.close()
            for client in clients[15:20]:
                assert client.command(b"A NOOP")[-1].startswith(b"A OK")
                client.close()

    def test_of_one_user_from_one_address(self, roost: Instance) -> None:
        """NO [LIMIT] above mail_max_userip_connections, for this user only, and only as long as it lasts."""
        with unharmed(roost):
            clients = [RawClient(roost.imap_port).login("u3") for _ in range(20)]
            with RawClient(roost.imap_port) as one_more:
                one_more.line()
                answer = one_more.command(b"A LOGIN u3 pw")[-1]
                assert answer.startswith(b"A NO [LIMIT] "), answer
                assert one_more.command(b"B LOGIN u4 pw")[-1].startswith(b"B OK"), "another user may"
            clients.pop().command(b"Z LOGOUT")
            socket_cut = clients.pop()
            socket_cut.close()

            def again() -> bool:
                with RawClient(roost.imap_port) as client:
                    client.line()
                    return client.command(b"A LOGIN u3 pw")[-1].startswith(b"A OK")

            wait_for(again, 20)
            for client in clients:
                client.close()


TIMES = """
imap_first_command_timeout = 2s
imap_login_timeout = 3s
imap_autologout = 3s
imap_write_timeout = 2s
lmtp_timeout = 2s
lmtp_write_timeout = 2s
auth_failure_delay = 0
"""


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("hasty"), TIMES + ONE_WORKER) as instance:
        deliver(instance, "u1", [letter(n, f"{n:077d}\r\n" * 8000) for n in range(40)])
        yield instance


class TestNeverFinished:
    """Every conversation that stops has an end, in the protocol's own words. All wait at the same time."""

    def test_each_is_ended(self, hasty: Instance) -> None:
        silent = RawClient(hasty.imap_port)
        before_login = {
            "half a line": b"A LOG",
            "half a literal": b"A LOGIN {5}\r\nab",
            "half a literal not asked for": b"A LOGIN {5+}\r\nab",
            "a challenge": b"A AUTHENTICATE PLAIN\r\n",
            "failed logins": b"A LOGIN u1 wrong\r\n",
        }
        strangers = {name: RawClient(hasty.imap_port) for name in before_login}
        for name, octets in before_login.items():
            strangers[name].send(octets)
        half_tls = RawClient(hasty.imap_port)
        half_tls.send(b"A STARTTLS\r\n")
        after_login = {
            "silence": b"",
            "half a line": b"B SEARCH ALL",
            "half a message": b"B APPEND INBOX {1000}\r\nSubject: half",
            "half a multiappend": b"B APPEND INBOX {5+}\r\nabcde {1000}\r\nx",
        }
        users = {name: RawClient(hasty.imap_port).login("u2") for name in after_login}
        for name, octets in after_login.items():
            users[name].send(octets)
        mtas = [RawClient(hasty.lmtp_socket), lmtp(hasty.lmtp_socket), lmtp(hasty.lmtp_socket, recipients=("u2@x",))]
        mtas[1].send(b"MAIL FROM:<a")
        mtas[2].send(b"Subject: half\r\n\r\nHalf a message")

        assert b"* BYE Disconnected for inactivity." in silent.rest()
        for name, client in strangers.items():
            said = client.rest()
            assert b"* BYE Disconnected: Too slow login." in said, (name, said)
        for name, client in users.items():
            said = client.rest()
            assert b"* BYE Disconnected for inactivity." in said, (name, said)
        for client in mtas:
            assert client.rest().endswith(b"421 4.4.2 Disconnected for inactivity\r\n")
        half_tls.close()
        with RawClient(hasty.imap_port).login("u2") as client:
            assert b"* 0 EXISTS" in client.command(b"A SELECT INBOX"), "half a message was stored"

    def test_a_drip_does_not_prolong_the_login(self, hasty: Instance) -> None:
        end = time.monotonic() + 30
        with RawClient(hasty.imap_port) as client:
            while not client.ended():
                assert time.monotonic() < end, "dripping octets keeps a stranger's connection open"
                client.send(b"x")
                select.select([client.sock], [], [], 0.2)  # the next drop, or the answer
            assert b"* BYE Disconnected: Too slow login." in client.buffer

    def test_who_does_not_read_is_cut_off(self, hasty: Instance) -> None:
        """Within the write timeout, though the session had much to say."""
        with RawClient(hasty.imap_port, receive_octets=4096).login("u1") as client:
            client.command(b"S SELECT INBOX")
            client.send(b"A FETCH 1:* BODY.PEEK[]\r\n")
            wait_for(lambda: re.search(r"imap\(u1\).* Disconnected: ", hasty.log_text()), 30, "the session to be cut")
        before = hasty.log_text().count("Disconnect from local")
        with lmtp(hasty.lmtp_socket) as mta:
            _pour(mta, b"NOOP\r\n" * 1000)
            wait_for(lambda: hasty.log_text().count("Disconnect from local") > before, 30, "the client to be cut")
