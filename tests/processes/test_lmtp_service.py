"""The lmtp service as a process: delivery into the store, TLS, trouble of its own, kill -9, reload and stop."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import letter
from kit.running import alive, free_ports
from kit.wait import wait_for

USERNAMES = "auth_username_format = %{user | username | lower}\n"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("lmtp"), USERNAMES) as running:
        yield running


class Lmtp:
    """A client that says lines and reads replies."""

    def __init__(self, instance: Instance) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(instance.lmtp_socket))
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith(b"220 ")

    def reply(self) -> bytes:
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line

    def say(self, *lines: bytes) -> list[bytes]:
        self.socket.sendall(b"".join(line + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]

    def begin(self, *users: str) -> list[bytes]:
        return self.say(
            b"LHLO c", b"MAIL FROM:<s@x>", *(b"RCPT TO:<%s@example.org>" % u.encode() for u in users), b"DATA"
        )

    def __enter__(self) -> Lmtp:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()
        self.socket.close()


def stored(instance: Instance, user: str) -> list[bytes]:
    """Every message in a user's INBOX, over IMAP."""
    with imaplib.IMAP4("127.0.0.1", instance.imap_port) as client:
        client.login(user, "pw")
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in data if isinstance(part, tuple)]


def test_message_can_be_read(instance: Instance) -> None:
    with smtplib.LMTP(str(instance.lmtp_socket)) as client:
        assert client.sendmail("s@example.net", ["u1@example.org"], letter(1)) == {}
    (message,) = stored(instance, "u1")
    assert message.startswith(b"Return-Path: <s@example.net>\r\nDelivered-To: u1@example.org\r\nReceived: from ")
    assert message.endswith(letter(1))
    instance.wait_log("msgid=<letter-1@example.org>: saved mail to INBOX")


@pytest.mark.parametrize("size_octets", [300_000, 3_000_000])
def test_big_message_for_several(instance: Instance, size_octets: int) -> None:
    body = b"Subject: big %d\r\n\r\n" % size_octets + b"".join(b".%076d\r\n" % n for n in range(size_octets // 79))
    users = ["u2", "u3", "u4"]
    with Lmtp(instance) as client:
        assert client.begin(*users)[-1].startswith(b"354 ")
        client.socket.sendall(b"\r\n".join((b"\r\n" + body).replace(b"\r\n.", b"\r\n..").split(b"\r\n")[1:]) + b".\r\n")
        for user in users:
            assert client.reply().startswith(b"250 2.0.0 <%s@example.org>" % user.encode())
    for user in users:
        assert stored(instance, user)[-1].endswith(body)
    assert not list(instance.folder.glob("mail/**/upload.*")), "a temporary file was left behind"


def test_client_that_leaves_in_the_middle_leaves_nothing(instance: Instance) -> None:
    before = len(stored(instance, "u5"))
    for _ in range(5):
        with Lmtp(instance) as client:
            client.begin("u5")
            client.socket.sendall(b"x" * 400_000)
    wait_for(lambda: instance.log_text().count("Disconnect from local (state=READY)") >= 5)
    wait_for(lambda: not list(instance.folder.glob("mail/**/upload.*")))
    assert len(stored(instance, "u5")) == before


def test_many_connections(instance: Instance) -> None:
    """150 clients at once, each with a message half sent; another one is served meanwhile."""
    clients = [Lmtp(instance) for _ in range(150)]
    for client in clients:
        assert client.begin("u6")[-1][:3] in (b"354", b"503")  # 503: lmtp_user_concurrency_limit
        client.socket.sendall(b"half a message")
    with smtplib.LMTP(str(instance.lmtp_socket)) as other:
        other.sendmail("s@x", ["u7@example.org"], letter(2))
    for client in clients:
        client.__exit__()


def test_store_that_cannot_be_opened_is_our_trouble(instance: Instance) -> None:
    home = instance.home("u8")
    home.mkdir(parents=True, exist_ok=True)
    (home / "store.db").mkdir()
    with Lmtp(instance) as client:
        replies = client.begin("u8", "u7")
        assert replies[-1].startswith(b"354 ")
        client.socket.sendall(letter(3) + b".\r\n")
        assert client.reply().startswith(b"451 4.")
        assert client.reply().startswith(b"250 ")
    (home / "store.db").rmdir()


def test_damaged_store_is_our_trouble(instance: Instance) -> None:
    home = instance.home("u9")
    home.mkdir(parents=True, exist_ok=True)
    (home / "store.db").write_bytes(b"this is no database" * 1000)
    with Lmtp(instance) as client:
        replies = client.begin("u9")
        if replies[-1].startswith(b"354 "):
            client.socket.sendall(letter(4) + b".\r\n")
            replies.append(client.reply())
        assert replies[-1].startswith(b"451 4.")


def test_auth_gone_and_back(tmp_path: Path) -> None:
    with Instance(tmp_path, USERNAMES) as instance, Lmtp(instance) as client:
        for pid in instance.pids("auth"):
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGKILL)
        client.say(b"LHLO c", b"MAIL FROM:<>")
        answers = []

        def served() -> bool:
            (answer,) = client.say(b"RCPT TO:<u1@example.org>")
            answers.append(answer)
            return answer.startswith(b"250 ")

        wait_for(served, 20)
        assert all(answer[:3] in (b"250", b"451") for answer in answers)


@pytest.fixture(scope="module")
def ports() -> list[int]:
    """Of lmtp with STARTTLS, and of lmtps."""
    return free_ports(2)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, ports: list[int]) -> Iterator[Instance]:
    listeners = (
        f"service lmtp {{\ninet_listener lmtp {{\nport = {ports[0]}\n}}\n"
        f"inet_listener lmtps {{\nport = {ports[1]}\nssl = yes\n}}\n}}\n"
    )
    with Instance(tmp_path_factory.mktemp("tls"), USERNAMES + listeners) as running:
        yield running


class TestTls:
    def context(self, instance: Instance) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(instance.ca_file))

    def test_starttls(self, secured: Instance, ports: list[int]) -> None:
        with smtplib.LMTP("127.0.0.1", ports[0], local_hostname="c") as client:
            client.ehlo()
            assert client.has_extn("starttls")
            client.starttls(context=self.context(secured))
            client.ehlo()
            assert not client.has_extn("starttls")
            assert client.sendmail("s@x", ["u1@example.org"], letter(1)) == {}
        (message,) = stored(secured, "u1")
        assert b" with LMTPS\r\n" in message
        assert b"([127.0.0.1])" in message

    def test_what_was_said_before_tls_is_forgotten(self, secured: Instance, ports: list[int]) -> None:
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=20) as plain:
            with plain.makefile("rb") as file:
                file.readline()
                injected = b"LHLO evil\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<u2@example.org>\r\n"
                plain.sendall(b"LHLO c\r\nSTARTTLS\r\n" + injected)
                while not file.readline().startswith(b"220 2.0.0"):
                    pass
            with self.context(secured).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(b"NOOP\r\nMAIL FROM:<>\r\n")
                with tls.makefile("rb") as file:
                    assert file.readline() == b"250 2.0.0 OK\r\n"
                    assert file.readline().startswith(b"503 5.5.1 ")

    def test_implicit_tls(self, secured: Instance, ports: list[int]) -> None:
        with (
            socket.create_connection(("127.0.0.1", ports[1]), timeout=20) as plain,
            self.context(secured).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
            tls.makefile("rb") as file,
        ):
            assert file.readline().startswith(b"220 ")
            tls.sendall(b"LHLO c\r\n")
            lines = [file.readline() for _ in range(7)]
            assert lines[-1].startswith(b"250 ")
            assert not any(b"STARTTLS" in line for line in lines)


class TestEnds:
    def test_reload_finishes_the_message_under_way(self, tmp_path: Path) -> None:
        with Instance(tmp_path, USERNAMES) as instance, Lmtp(instance) as client:
            assert client.begin("u1")[-1].startswith(b"354 ")
            old = instance.pids("lmtp")
            assert instance.reload() == ""
            wait_for(lambda: instance.pids("lmtp") - old, 20, "new workers")
            client.socket.sendall(letter(1) + b".\r\n")
            assert client.reply().startswith(b"250 2.0.0 ")
            assert client.reply().startswith(b"421 4.3.2 ")
            assert client.reply() == b""
            with smtplib.LMTP(str(instance.lmtp_socket)) as other:
                other.sendmail("s@x", ["u1@example.org"], letter(2))
            assert len(stored(instance, "u1")) == 2

    def test_stop_tells_the_client(self, tmp_path: Path) -> None:
        with Instance(tmp_path, USERNAMES) as instance, Lmtp(instance) as client, Lmtp(instance) as sender:
            client.say(b"LHLO c")
            sender.begin("u1")
            sender.socket.sendall(b"half")
            instance.signal(signal.SIGTERM)
            assert client.reply().startswith(b"421 4.3.2 ")
            assert sender.reply().startswith(b"421 4.3.2 ")
            assert instance.stop() == 0

    def test_killed_worker_loses_nothing_acknowledged(self, tmp_path: Path) -> None:
        """Deliver while workers are killed; what got a 250 is there, once for each 250 or more."""
        with Instance(tmp_path, USERNAMES) as instance:
            acknowledged: list[int] = []
            end = threading.Event()
            failures = 0

            def kill() -> None:
                while not end.is_set():
                    for row in instance.processes("lmtp"):
                        if row.state != "starting" and alive(row.pid):  # dying while starting means throttling
                            os.kill(row.pid, signal.SIGKILL)
                    end.wait(0.1)

            killer = threading.Thread(target=kill)
            killer.start()
            try:
                for number in range(150):
                    for _ in range(50):
                        try:
                            with smtplib.LMTP(str(instance.lmtp_socket)) as client:
                                client.sendmail("s@x", ["u1@example.org"], letter(number))
                            acknowledged.append(number)
                            break
                        except (smtplib.SMTPException, OSError):
                            failures += 1
            finally:
                end.set()
                killer.join()
            assert failures, "no worker was hit: the test shows nothing"
            assert len(acknowledged) == 150
            bodies = stored(instance, "u1")
            found = {int(body.partition(b"Subject: letter ")[2].split(b"\r\n")[0]) for body in bodies}
            assert found == set(acknowledged)
            assert len(bodies) <= len(acknowledged) + failures
