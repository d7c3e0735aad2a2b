"""The wrong protocol at every port, and TLS that is cut, damaged, or begun behind words in plain text."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, only, rss_octets, unharmed
from kit.instance import Instance
from kit.mail import tls
from kit.rawclient import RawClient, lmtp
from kit.running import free_port

MIB = 1 << 20
LMTP_PORT = """
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
}}
"""


@pytest.fixture(scope="module")
def lmtp_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory, lmtp_port: int) -> Iterator[Instance]:
    conf = ONE_WORKER + LMTP_PORT.format(port=lmtp_port)
    with Instance(tmp_path_factory.mktemp("roost"), conf) as instance:
        yield instance


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One process with room for twelve clients: a place that is not given back is missed."""
    conf = "service imap {\nclient_limit = 12\n}\n"
    with Instance(tmp_path_factory.mktemp("small"), ONE_WORKER + conf) as instance:
        yield instance


def all_places_are_free(small: Instance) -> None:
    clients = [RawClient(small.imap_port) for _ in range(12)]
    for client in clients:
        assert client.line().startswith(b"* OK ")
    for client in clients:
        client.close()


def client_hello(name: str = "localhost") -> bytes:
    """The first flight of a real TLS client."""
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\nA LOGIN u1 pw\r\nB SELECT INBOX\r\n",
    "http-post": b"POST /A HTTP/1.0\r\nAccept: x\r\n\r\nLHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u1@x>\r\nDATA\r\nx\r\n.\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "smtp": b"EHLO client\r\nMAIL FROM:<a@b>\r\nRCPT TO:<u1@x>\r\nDATA\r\n\r\nA LOGIN u1 pw\r\n.\r\nQUIT\r\n",
    "pop3": b"USER u1\r\nPASS pw\r\nSTAT\r\nRETR 1\r\nQUIT\r\n",
    "imap": b"A LOGIN u1 pw\r\nB SELECT INBOX\r\nC LOGOUT\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)),
    "tls": client_hello(),
    "tls-old": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(35),
    "auth": b"VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=imap\tresp=AHUxAHB3\n",
    "dns": b"\x00\x1e\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03",
    "rdp": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
}


class TestTheWrongProtocol:
    @pytest.mark.parametrize("name", [name for name in STRANGERS if name != "imap"])
    def test_at_the_imap_port(self, roost: Instance, name: str) -> None:
        """Told that this is IMAP, and closed; nothing hidden in what it says is run."""
        with unharmed(roost), RawClient(roost.imap_port) as client:
            greeting = client.line()
            assert greeting.startswith(b"* OK ")
            said = client.talk(STRANGERS[name], finish=name in ("auth", "dns", "rdp", "tls-old"))
            assert b" OK " not in said, said
            assert said.startswith((b"* BYE ", b"* BAD ", b"VERSION BAD")) or name in (
                "auth",
                "dns",
                "rdp",
                "tls-old",
            ), said
            if name in ("http", "http-post", "http2", "smtp", "pop3", "ssh", "tls"):
                assert said == b"* BYE This is an IMAP server.\r\n"

    @pytest.mark.parametrize("name", [name for name in STRANGERS if name != "smtp"])
    def test_at_the_lmtp_port(self, roost: Instance, lmtp_port: int, name: str) -> None:
        with unharmed(roost), RawClient(lmtp_port) as client:
            assert client.reply().startswith(b"220 ")
            said = client.talk(STRANGERS[name], finish=name in ("pop3", "tls-old", "dns", "rdp", "imap", "tls"))
            assert b"\n250 " not in said and not said.startswith(b"250 "), said
            if name.startswith("http") or name in ("ssh", "auth"):
                assert said == b"421 4.7.0 This is an LMTP server, closing\r\n"

    def test_smtp_at_the_lmtp_port(self, roost: Instance, lmtp_port: int) -> None:
        """EHLO is refused, so an SMTP client cannot deliver by mistake, and what follows is out of order."""
        with unharmed(roost), RawClient(lmtp_port) as client:
            client.reply()
            answers = client.say(b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<u1@x>", b"DATA")
            assert [answer[:3] for answer in answers] == [b"500", b"503", b"503", b"503"]

    @pytest.mark.parametrize(
        "socket_name", ["auth-client", "auth-login", "auth-userdb", "auth-master", "anvil", "notify"]
    )
    @pytest.mark.parametrize("name", [name for name in STRANGERS if name != "auth"])
    def test_at_the_inner_sockets(self, roost: Instance, socket_name: str, name: str) -> None:
        """Disconnected at once, with a line in the log; never an answer that could be taken for success."""
        with RawClient(roost.base_dir / socket_name) as client:
            said = client.talk(STRANGERS[name], finish=b"\n" not in STRANGERS[name])
            assert b"OK\t" not in said
            assert b"USER\t" not in said

    def test_at_the_masters_socket(self, roost: Instance) -> None:
        with unharmed(roost):
            for octets in STRANGERS.values():
                RawClient(roost.base_dir / "master").talk(octets)

    @pytest.mark.parametrize("name", [name for name in STRANGERS if not name.startswith("tls")])
    def test_plain_text_at_the_tls_port(self, roost: Instance, name: str) -> None:
        with unharmed(roost), RawClient(roost.imaps_port) as client:
            said = client.talk(STRANGERS[name] + b"\r\n" * 10, finish=False)
            assert b"IMAP4rev1" not in said, "a greeting in plain text"
            assert len(said) < 20  # a TLS alert at most


class TestBrokenTls:
    def test_a_handshake_cut_at_any_point(self, small: Instance) -> None:
        hello = client_hello()
        cuts = [0, 1, 4, 5, 6, 9, 43, len(hello) - 1, len(hello)]
        with unharmed(small):
            for cut in cuts:
                for reset in (False, True):
                    client = RawClient(small.imaps_port)
                    client.send(hello[:cut])
                    if reset:
                        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    client.close()
        all_places_are_free(small)

    def test_a_damaged_handshake(self, small: Instance) -> None:
        hello = client_hello()
        dice = random.Random("hello")
        with unharmed(small):
            for _ in range(60):
                damaged = bytearray(hello)
                for _ in range(dice.choice((1, 3, 20))):
                    damaged[dice.randrange(len(damaged))] = dice.randrange(256)
                RawClient(small.imaps_port).talk(bytes(damaged))
        all_places_are_free(small)

    def test_closed_in_the_middle_of_a_command(self, small: Instance) -> None:
        """No close_notify, half a literal: nothing is stored, the session ends, its place is free."""
        with unharmed(small):
            for command in (
                b"A APPEND INBOX {100}\r\nhalf a message",
                b"A SELECT IN",
                b'A SEARCH SUBJECT "x',
                b"A IDLE\r\n",
            ):
                for reset in (False, True):
                    client = RawClient(small.imaps_port).start_tls(small.ca_file).login("u1")
                    client.send(command)
                    if reset:
                        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    socket.close(client.sock.detach())
        all_places_are_free(small)
        with RawClient(small.imap_port).login("u1") as client:
            assert b"* 0 EXISTS" in client.command(b"A SELECT INBOX")

    def test_rubbish_instead_of_a_record(self, small: Instance) -> None:
        with unharmed(small):
            for octets in (
                b"A NOOP\r\n",
                b"\x17\x03\x03\xff\xff" + b"x" * 70_000,
                b"\x15\x03\x03\x00\x02\x02\x28",
                b"\x00" * 100,
            ):
                client = RawClient(small.imaps_port).start_tls(small.ca_file).login("u1")
                raw = socket.socket(fileno=client.sock.detach())
                raw.settimeout(20)
                raw.sendall(octets)
                try:
                    while raw.recv(65536):
                        pass
                except ConnectionError:
                    pass
                raw.close()
        all_places_are_free(small)

    def test_many_server_names(self, roost: Instance) -> None:
        """Names a client asks for are not kept."""
        pid = only(roost, "imap")
        context = tls(roost)
        context.check_hostname = False

        def handshakes(count: int) -> None:
            for number in range(count):
                with socket.create_connection(("127.0.0.1", roost.imaps_port), 20) as plain:
                    name = f"{'n' * 60}.{'m' * 60}.{number}.example.org"
                    with context.wrap_socket(plain, server_hostname=name) as sock:
                        assert sock.recv(100).startswith(b"* OK ")

        with unharmed(roost):
            handshakes(60)
            before = rss_octets(pid)
            handshakes(400)
            assert rss_octets(pid) - before < 6 * MIB

    def test_renegotiation_and_old_versions_are_refused(self, roost: Instance) -> None:
        with unharmed(roost):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(roost.ca_file)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            with pytest.warns(DeprecationWarning):
                context.maximum_version = ssl.TLSVersion.TLSv1_1
            with (
                socket.create_connection(("127.0.0.1", roost.imaps_port), 20) as plain,
                pytest.raises((ssl.SSLError, ConnectionError)),
            ):
                context.wrap_socket(plain, server_hostname="127.0.0.1")


def _imap_to_starttls(roost: Instance, port: int) -> tuple[RawClient, bytes, Callable[[RawClient], bytes]]:
    client = RawClient(roost.imap_port)
    client.line()
    return client, b"A STARTTLS\r\n", RawClient.line


def _lmtp_to_starttls(roost: Instance, port: int) -> tuple[RawClient, bytes, Callable[[RawClient], bytes]]:
    client = RawClient(port)
    client.reply()
    client.say(b"LHLO c")
    return client, b"STARTTLS\r\n", RawClient.reply


class TestInjectionBeforeTls:
    """What is said before the handshake is never heard (CVE-2021-33515), however it is cut."""

    INJECTED = {
        "imap": (b"X LOGIN u1 pw\r\nY NOOP\r\n", b"X LOGIN u1 ", b"X APPEND INBOX {100+}\r\n", b"X LOGIN {2}\r\n"),
        "lmtp": (b"LHLO evil\r\nMAIL FROM:<evil@x>\r\n", b"MAIL FR", b"NOOP\r\n", b"RSET\r\n" * 1000),
    }

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("which", [0, 1, 2, 3])
    @pytest.mark.parametrize("protocol", ["imap", "lmtp"])
    def test_after_the_command(
        self, roost: Instance, lmtp_port: int, protocol: str, which: int, together: bool
    ) -> None:
        begin = _imap_to_starttls if protocol == "imap" else _lmtp_to_starttls
        client, starttls, answer = begin(roost, lmtp_port)
        injected = self.INJECTED[protocol][which]
        with client:
            if together:
                client.send(starttls + injected)
                assert answer(client).startswith((b"A OK", b"220 "))
            else:  # after the answer: it reaches the handshake, which fails
                client.send(starttls)
                assert answer(client).startswith((b"A OK", b"220 "))
                client.send(injected)
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    client.start_tls(roost.ca_file)
                return
            client.start_tls(roost.ca_file)
            if protocol == "imap":
                lines = client.command(b"B CAPABILITY")
                assert [line.split()[0] for line in lines] == [b"*", b"B"]
                assert b"UIDPLUS" not in lines[0], "the injected LOGIN was run"
            else:
                assert client.say(b"NOOP")[0].startswith(b"250 2.0.0 OK")
                assert client.say(b"MAIL FROM:<a@b>")[0].startswith(b"503 "), "LHLO must be said again"

    @pytest.mark.parametrize("protocol", ["imap", "lmtp"])
    def test_in_one_segment_with_the_handshake(self, roost: Instance, lmtp_port: int, protocol: str) -> None:
        """All of it is thrown away, the handshake's beginning too: nothing is answered in plain text."""
        begin = _imap_to_starttls if protocol == "imap" else _lmtp_to_starttls
        client, starttls, answer = begin(roost, lmtp_port)
        with client, unharmed(roost):
            client.send(starttls + self.INJECTED[protocol][0] + client_hello())
            assert answer(client).startswith((b"A OK", b"220 "))
            assert client.talk(b"") == b""

    def test_twice_and_after_login(self, roost: Instance) -> None:
        client, starttls, _ = _imap_to_starttls(roost, 0)
        with client:
            client.send(starttls)
            client.line()
            client.start_tls(roost.ca_file)
            assert client.command(b"B STARTTLS")[-1].startswith(b"B BAD ")
        with RawClient(roost.imap_port).login("u1") as client:
            assert client.command(b"B STARTTLS")[-1].startswith(b"B BAD ")

    def test_in_the_middle_of_a_transaction(self, roost: Instance) -> None:
        """What LMTP had been told in plain text is forgotten after the handshake."""
        with lmtp(roost.lmtp_socket) as client:
            assert client.say(b"MAIL FROM:<a@b>")[0].startswith(b"250 ")
            answer = client.say(b"STARTTLS")[0]
            if answer.startswith(b"220 "):
                client.start_tls(roost.ca_file)
                assert client.say(b"RCPT TO:<u1@x>")[0].startswith(b"503 ")
            else:
                assert answer[:1] == b"5"


class TestHalfClosed:
    def test_clients_that_say_no_more_still_get_their_answers(self, roost: Instance, tmp_path: Path) -> None:
        with unharmed(roost):
            said = RawClient(roost.imap_port).talk(b"A LOGIN u1 pw\r\nB SELECT INBOX\r\nC LOGOUT\r\n")
            assert b"\r\nC OK " in said
            said = RawClient(roost.lmtp_socket).talk(
                b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<u2@x>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"
            )
            assert said.endswith(b"Saved\r\n")
