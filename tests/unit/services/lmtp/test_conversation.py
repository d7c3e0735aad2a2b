"""Commands and their order, pipelining, limits, foreign protocols, timeouts, the end of the process."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from kit.lmtp_memory import MemoryLmtp

from roost.net.connection import RECEIVE_BUFFER_OCTETS
from roost.smtp.replies import REPLIES
from services.lmtp.connection import PENDING_OCTETS

U1, U2 = "u1@example.org", "u2@example.org"
WHOLE = (
    b"LHLO c\r\nMAIL FROM:<s@x>\r\nRCPT TO:<u1@example.org>\r\nRCPT TO:<no@x>\r\nRCPT TO:<u2@example.org>\r\nDATA\r\n"
    b"Message-ID: <m@x>\r\n\r\n..a\r\nb\n.\nc\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<u1@example.org>\r\nBDAT 5\r\na\r\nb\r"
    b"BDAT 4 LAST\r\n\nc\r\nNOOP\r\nFOO\r\nQUIT\r\n"
)


def test_everything_pipelined_in_any_cut(make: type[MemoryLmtp]) -> None:
    """One write, octet by octet, and random pieces all get the same answers and store the same."""
    answers = []
    stored = []
    dice = random.Random(1)
    for way in range(12):
        lmtp = make()
        client = lmtp.client()
        answer = b""
        at = 0
        while at < len(WHOLE):
            step = len(WHOLE) if way == 0 else 1 if way == 1 else dice.randint(1, 60)
            if way % 2:
                answer += client.send(WHOLE[at : at + step])
            else:
                client.feed(WHOLE[at : at + step])
            at += step
        answer += client.take()
        answers.append(answer)
        stored.append((lmtp.messages(U1), lmtp.messages(U2)))
        assert client.closed
    assert len(set(answers)) == 1
    assert all(found == stored[0] for found in stored)
    codes = re.findall(rb"^(\d\d\d) ", answers[0], re.MULTILINE)
    assert codes == b"250 250 250 550 250 354 250 250 250 250 250 250 250 500 221".split()
    assert stored[0][0][0].endswith(b"\r\n\r\n.a\r\nb\r\n.\r\nc\r\n")
    assert stored[0][0][1].endswith(b"+0000\r\na\r\nb\r\nc\r\n")


def test_commands_in_flight_wait_their_turn(lmtp: MemoryLmtp) -> None:
    lmtp.auth_gate = asyncio.Event()
    client = lmtp.client()
    client.send(b"LHLO c\r\n")
    assert client.send(b"MAIL FROM:<>\r\nRCPT TO:<u1@example.org>\r\nNOOP\r\n") == b""  # one batch, one write
    assert client.send(b"RSET\r\n") == b""
    lmtp.auth_gate.set()
    assert client.take() == b"250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n"


def test_octets_that_arrive_just_when_a_waiting_command_ends(lmtp: MemoryLmtp) -> None:
    """The quick client: its next command is there before the loop has told us that the last one's task is over."""
    lmtp.auth_gate = asyncio.Event()
    client = lmtp.client()
    client.send(b"LHLO c\r\nMAIL FROM:<>\r\n")
    client.send(b"RCPT TO:<u1@example.org>\r\n")

    def quick() -> None:
        client.transport.on_write = None
        said = b"NOOP\r\n"
        client.connection.get_buffer(-1)[: len(said)] = said
        client.connection.buffer_updated(len(said))

    client.transport.on_write = quick
    lmtp.auth_gate.set()
    assert client.take() == b"250 2.1.5 OK\r\n250 2.0.0 OK\r\n"


def test_ten_thousand_pipelined_commands(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    assert client.send(b"NOOP\r\n" * 10_000) == b"250 2.0.0 OK\r\n" * 10_000


def test_what_is_kept_while_waiting_is_bounded(lmtp: MemoryLmtp) -> None:
    lmtp.auth_gate = asyncio.Event()
    client = lmtp.client()
    client.begin(U1)
    while client.transport.reading:
        client.feed(b"NOOP\r\n" * 1000)
    (connection,) = lmtp.connections
    assert connection._lines.pending_octets <= PENDING_OCTETS + RECEIVE_BUFFER_OCTETS
    lmtp.auth_gate.set()
    client.take()
    assert client.transport.reading


def test_a_client_that_reads_nothing_gets_no_more_work_done(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.transport.stalled = True
    for _ in range(100):
        client.feed(b"HELP\r\n" * 1000)
        lmtp.settle()
    assert len(client.transport.sent) < 1_000_000
    assert not client.transport.reading


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"EHLO x", b"500 5.5.1"),
        (b"HELO x", b"500 5.5.1"),
        (b"MAIL FROM:<a@b>", b"503 5.5.1"),
        (b"RCPT TO:<u1@example.org>", b"503 5.5.1"),
        (b"DATA", b"503 5.5.1"),
        (b"LHLO", b"501 5.5.4"),
        (b"LHLO a b", b"501 5.5.4"),
        (b"LHLO (evil)\x00", b"501 5.5.4"),
        (b"lhlo [IPv6:::1]", b"250-host.example"),
        (b"STARTTLS", b"502 5.5.1"),
        (b"AUTH PLAIN x", b"500 5.5.1"),
        (b"XCLIENT ADDR=1.2.3.4", b"500 5.5.1"),
        (b"NOOP anything", b"250 2.0.0"),
        (b"VRFY u1@example.org", b"252 2.3.3"),
        (b"VRFY", b"501 5.5.4"),
        (b"EXPN list", b"500 5.5.1"),
        (b"HELP", b"214 2.0.0"),
        (b"", b"500 5.5.1"),
        (b" NOOP", b"500 5.5.1"),
        (b"NOOP\x00", b"500 5.5.1"),
        (b"\xff\xfe", b"500 5.5.1"),
    ],
)
def test_before_lhlo(lmtp: MemoryLmtp, said: bytes, answer: bytes) -> None:
    assert lmtp.client().send(said + b"\r\n").startswith(answer)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME SMTPUTF8", b"250 2.1.0"),
        (b"mail from:<a@b> body=7bit", b"250 2.1.0"),
        (b"MAIL FROM:<>", b"250 2.1.0"),
        (b'MAIL FROM:<""@b>', b"250 2.1.0"),
        (b"MAIL FROM:<@r:a@b>", b"250 2.1.0"),
        (b"MAIL FROM:a@b", b"501 5.1.7"),
        (b"MAIL FROM: <a@b>", b"501 5.1.7"),
        (b'MAIL FROM:<"">', b"501 5.1.7"),
        (b"MAIL FROM:<a\x00@b>", b"501 5.1.7"),
        (b"MAIL TO:<a@b>", b"501 5.5.4"),
        (b"MAIL", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> FOO=1", b"555 5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=<>", b"555 5.5.4"),
        (b"MAIL FROM:<a@b> BODY=BINARYMIME", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> BODY", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> SMTPUTF8=1", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=x", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=99999999999999999999", b"552 5.3.4"),
        (b"RCPT TO:<u1@example.org>", b"503 5.5.1"),
        (b"DATA", b"503 5.5.1"),
    ],
)
def test_mail(lmtp: MemoryLmtp, said: bytes, answer: bytes) -> None:
    client = lmtp.client()
    client.send(b"LHLO c\r\n")
    assert client.send(said + b"\r\n").startswith(answer)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"RCPT TO:<u1@example.org>", b"250 2.1.5"),
        (b"rcpt to:<u1>", b"250 2.1.5"),
        (b'RCPT TO:<"u1"@example.org>', b"250 2.1.5"),
        (b"RCPT TO:<@r:u1@example.org>", b"250 2.1.5"),
        (b"RCPT TO:<u1@example.org> ORCPT=rfc822;x@y", b"250 2.1.5"),
        (b"RCPT TO:<no@example.org>", b"550 5.1.1 <no@example.org> User doesn't exist: no@example.org"),
        (b"RCPT TO:<>", b"501 5.1.3"),
        (b'RCPT TO:<"">', b"501 5.1.3"),
        (b'RCPT TO:<""@example.org>', b"501 5.1.3"),
        (b"RCPT TO:<u1@example.org> NOTIFY=NEVER", b"555 5.5.4"),
        (b"RCPT TO:u1@example.org", b"501 5.1.3"),
        (b"RCPT FROM:<u1@example.org>", b"501 5.5.4"),
        (b"MAIL FROM:<a@b>", b"503 5.5.1"),
        (b"STARTTLS", b"503 5.5.1"),
        (b"DATA", b"503 5.5.1 No valid recipients"),
        (b"DATA now", b"501 5.5.4"),
    ],
)
def test_rcpt(lmtp: MemoryLmtp, said: bytes, answer: bytes) -> None:
    client = lmtp.client()
    client.begin()
    assert client.send(said + b"\r\n").startswith(answer)


def test_hostile_names_reach_the_userdb_as_they_are(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.begin()
    for local in (b"../../etc", b"%{user}", b"a/b", b'"a\\\tb"', b'"x y"'):
        assert client.send(b"RCPT TO:<" + local + b"@example.org>\r\n")[:4] in (b"550 ", b"501 ")
    assert [name for name, _ in lmtp.lookups] == [
        "../../etc@example.org",
        "%{user}@example.org",
        "a/b@example.org",
        "x y@example.org",
    ]


def test_auth_is_down(lmtp: MemoryLmtp) -> None:
    lmtp.auth_down = True
    client = lmtp.client()
    assert client.begin(U1).split(b"\r\n")[-2].startswith(b"451 4.3.0 ")
    assert "/run/auth" in lmtp.sink.texts("E")[0]
    lmtp.auth_down = False
    assert client.send(b"RCPT TO:<u1@example.org>\r\n") == b"250 2.1.5 OK\r\n"


def test_the_same_trouble_is_logged_once(lmtp: MemoryLmtp) -> None:
    lmtp.auth_down = True
    for _ in range(50):
        lmtp.client().begin(U1, U2)
    assert len(lmtp.sink.texts("E")) == 1


def test_title(lmtp: MemoryLmtp) -> None:
    client = lmtp.client(("192.0.2.7", 1234))
    client.begin(U1)
    client.send(b"DATA\r\n")
    assert lmtp.titles == ["u1@example.org 192.0.2.7 DATA"]
    client.send(b".\r\n")
    assert lmtp.titles[1:] == [" 192.0.2.7 READY"]


def test_lookup_says_who_asks(lmtp: MemoryLmtp) -> None:
    client = lmtp.client(("192.0.2.7", 1234))
    client.begin(U1)
    (_, conn), *_ = lmtp.lookups
    assert (conn.service, conn.remote_ip, conn.remote_port, conn.session_id) == ("lmtp", "192.0.2.7", 1234, "S1")


def test_workarounds(make: type[MemoryLmtp]) -> None:
    client = make(lmtp_client_workarounds=("whitespace-before-path", "mailbox-for-path")).client()
    client.send(b"LHLO c\r\n")
    assert client.send(b"MAIL FROM: a@b SIZE=1\r\nRCPT TO: <u1@example.org>\r\n") == (
        b"250 2.1.0 OK\r\n250 2.1.5 OK\r\n"
    )


def test_too_many_recipients(make: type[MemoryLmtp]) -> None:
    client = make(lmtp_max_recipients=2).client()
    assert client.begin(U1, U2, U1).endswith(b"452 4.5.3 Too many recipients\r\n")
    assert client.send(b"DATA\r\nx\r\n.\r\n").count(b" Saved") == 2


def test_user_concurrency(make: type[MemoryLmtp]) -> None:
    lmtp = make(lmtp_user_concurrency_limit=2)
    clients = [lmtp.client() for _ in range(3)]
    assert clients[0].begin(U1, "u1+x@example.org", U1).endswith(b"250 2.1.5 OK\r\n" * 3)  # one message counts once
    assert clients[1].begin(U1).endswith(b"250 2.1.5 OK\r\n")
    assert b"\r\n451 4.3.0 Too many concurrent deliveries" in clients[2].begin(U1)
    clients[0].vanish()
    assert clients[2].send(b"RCPT TO:<u1@example.org>\r\n") == b"250 2.1.5 OK\r\n"


class Elsewhere:
    """In place of anvil: other processes have ``others`` deliveries to everybody. ``here``: ours, by session."""

    def __init__(self, others: int) -> None:
        self.others = others
        self.here: dict[str, str] = {}
        self.asked: list[int] = []

    async def connect(
        self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
    ) -> int:
        assert session_id not in self.here and (service, remote_ip) == ("lmtp", "")
        self.here[session_id] = user
        if limit:
            self.asked.append(limit)
        return list(self.here.values()).count(user) + (self.others if limit else 0)

    def disconnect(self, session_id: str) -> None:
        del self.here[session_id]


def test_user_concurrency_of_all_processes(make: type[MemoryLmtp]) -> None:
    lmtp = make(lmtp_user_concurrency_limit=5)
    lmtp.shared.anvil = anvil = Elsewhere(3)
    clients = [lmtp.client() for _ in range(4)]
    assert clients[0].begin(U1, "u1+x@example.org").endswith(b"250 2.1.5 OK\r\n" * 2)
    assert list(anvil.here.values()) == ["u1@example.org"] and anvil.asked == [], "one delivery asks nothing"
    assert clients[1].begin(U1).endswith(b"250 2.1.5 OK\r\n")
    assert b"\r\n451 4.3.0 Too many concurrent deliveries" in clients[2].begin(U1)
    assert anvil.asked == [5, 5] and len(anvil.here) == 2
    assert clients[2].send(b"RCPT TO:<u2@example.org>\r\n") == b"250 2.1.5 OK\r\n"
    assert b" Saved" in clients[2].send(b"DATA\r\nx\r\n.\r\n")
    clients[0].vanish()
    assert clients[3].begin(U1).endswith(b"250 2.1.5 OK\r\n")
    for client in clients:
        client.vanish()
    assert anvil.here == {} and lmtp.shared.deliveries == {}


def test_too_many_errors(make: type[MemoryLmtp]) -> None:
    client = make(lmtp_max_errors=3).client()
    answer = client.send(b"FOO\r\n" + b"x" * 5000 + b"\r\nEHLO a\r\nNOOP\r\n")
    assert [line[:9] for line in answer.split(b"\r\n")] == [b"500 5.5.1", b"500 5.5.2", b"500 5.5.1", b"421 4.7.0", b""]
    assert client.closed


def test_unknown_recipients_are_no_mistakes(make: type[MemoryLmtp]) -> None:
    client = make(lmtp_max_errors=3).client()
    assert client.begin(*["no@x"] * 20).count(b"550 5.1.1") == 20
    assert not client.closed


def test_long_line(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.send(b"LHLO c\r\n")
    for _ in range(200):
        client.feed(b"MAIL FROM:<" + b"a" * 20_000)
    (connection,) = lmtp.connections
    assert connection._lines.pending_octets < 5000
    assert client.send(b"\r\nNOOP\r\n") == b"500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nLHLO x\r\n",
        b"a1 CAPABILITY\r\n",
        b"a LOGIN u p\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_other_protocols_are_answered_and_closed(lmtp: MemoryLmtp, said: bytes) -> None:
    client = lmtp.client()
    assert client.send(said) == REPLIES["NOT_LMTP"].wire
    assert client.closed


class TestChunks:
    def test_whole_message(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1, U2)
        assert client.send(b"BDAT 3\r\n.\r\n") == b"250 2.0.0 3 octets received\r\n"
        assert client.send(b"BDAT 0\r\n") == b"250 2.0.0 0 octets received\r\n"
        assert client.send(b"BDAT 4 last\r\nx\r") == b""
        assert client.send(b"\n.") == (
            b"250 2.0.0 <u1@example.org> S1 Saved\r\n250 2.0.0 <u2@example.org> S1 Saved\r\n"
        )
        assert lmtp.messages(U1)[0].endswith(b"+0000\r\n.\r\nx\r\n.")
        assert client.send(b"BDAT 0 LAST\r\n").startswith(b"503 ")

    def test_empty_last_chunk(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        assert client.send(b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n").endswith(b" Saved\r\n")

    def test_refused_chunks_are_swallowed(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        assert client.send(b"BDAT 6\r\nQUIT\r\nNOOP\r\n") == b"503 5.5.1 Issue MAIL first\r\n250 2.0.0 OK\r\n"
        client.begin()
        assert client.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n") == b"503 5.5.1 No valid recipients\r\n250 2.0.0 OK\r\n"
        assert not client.closed

    def test_not_mixed_with_data(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        client.send(b"BDAT 1\r\nx")
        for said in (b"DATA", b"MAIL FROM:<>", b"RCPT TO:<u2@example.org>"):
            assert client.send(said + b"\r\n").startswith(b"503 ")
        assert client.send(b"RSET\r\n") == b"250 2.0.0 OK\r\n"
        assert client.send(b"BDAT 1\r\nx").startswith(b"503 ")

    @pytest.mark.parametrize("said", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 LAST x", b"BDAT 9999999999999999999"])
    def test_unreadable_size_ends_the_connection(self, lmtp: MemoryLmtp, said: bytes) -> None:
        client = lmtp.client()
        client.begin(U1)
        assert client.send(said + b"\r\n").startswith(b"501 5.5.4 ")
        assert client.closed

    def test_too_big(self, make: type[MemoryLmtp]) -> None:
        lmtp = make(max_message_octets=5000)
        client = lmtp.client()
        client.begin(U1)
        client.send(b"BDAT 6000\r\n" + b"x" * 6000)
        assert client.send(b"BDAT 1 LAST\r\nx").startswith(b"552 5.3.4 ")

    def test_endless_mistakes_end(self, make: type[MemoryLmtp]) -> None:
        client = make(lmtp_max_errors=3).client()
        assert client.send(b"BDAT 1\r\nx" * 5).count(b"503 ") == 3
        assert client.closed

    def test_store_does_not_open(self, lmtp: MemoryLmtp) -> None:
        lmtp.open_faults[U1] = RuntimeError("bug")
        client = lmtp.client()
        client.begin(U1)
        assert client.send(b"BDAT 6\r\nQUIT\r\n").startswith(b"451 4.3.0 ")
        assert client.send(b"BDAT 6 LAST\r\nQUIT\r\n").startswith(b"503 ")


class TestEnds:
    def test_quit(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        assert client.send(b"QUIT\r\nNOOP\r\n") == b"221 2.0.0 Bye\r\n"
        assert client.closed

    def test_half_closed_client_gets_its_answers(self, lmtp: MemoryLmtp) -> None:
        lmtp.gates[U1] = asyncio.Event()
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\nx\r\n.\r\n")
        client.hang_up()
        assert not client.closed
        lmtp.gates[U1].set()
        assert client.take().endswith(b" Saved\r\n")
        assert client.closed

    def test_half_closed_client_that_was_quicker_than_we(self, lmtp: MemoryLmtp) -> None:
        lmtp.auth_gate = asyncio.Event()
        client = lmtp.client()
        client.feed(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<u1@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
        client.hang_up()
        lmtp.auth_gate.set()
        answer = client.take()
        assert b" Saved\r\n" in answer
        assert answer.endswith(b"221 2.0.0 Bye\r\n")
        assert client.closed

    @pytest.mark.parametrize("until", [b"", b"DATA\r\n", b"DATA\r\nhalf a mess", b"BDAT 10\r\nabc", b"BDAT 1\r\nx"])
    def test_client_vanishes(self, lmtp: MemoryLmtp, until: bytes) -> None:
        client = lmtp.client()
        client.begin(U1, U2)
        client.send(until)
        client.vanish()
        assert lmtp.messages(U1) == []
        assert not lmtp.connections

    def test_client_vanishes_during_delivery(self, lmtp: MemoryLmtp) -> None:
        lmtp.gates[U1] = asyncio.Event()
        client = lmtp.client()
        client.begin(U1, U2)
        client.send(b"DATA\r\nx\r\n.\r\n")
        client.vanish()
        lmtp.gates[U1].set()
        lmtp.settle()
        assert lmtp.saved == [U2, U1]

    @pytest.mark.parametrize("until", [b"", b"DATA\r\n", b"DATA\r\nhalf", b"BDAT 10\r\nabc"])
    def test_timeout(self, lmtp: MemoryLmtp, until: bytes) -> None:
        client = lmtp.client()
        client.begin(U1)
        client.send(until)
        (connection,) = lmtp.connections
        lmtp.call(connection._timed_out)
        assert client.take() == REPLIES["TIMEOUT"].wire
        assert client.closed

    def test_no_timeout_while_we_work(self, lmtp: MemoryLmtp) -> None:
        lmtp.gates[U1] = asyncio.Event()
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\nx\r\n.\r\n")
        (connection,) = lmtp.connections
        lmtp.call(connection._timed_out)
        assert not client.closed
        lmtp.gates[U1].set()
        assert client.take().endswith(b" Saved\r\n")
        assert connection._deadline is not None
        assert connection._deadline.armed


class TestDrain:
    GOODBYE = REPLIES["SHUTTING_DOWN"].wire

    def drain(self, lmtp: MemoryLmtp, *, politely: bool) -> None:
        for connection in list(lmtp.connections):
            lmtp.call(lambda c=connection: c.drain(politely=politely))

    @pytest.mark.parametrize("politely", [False, True])
    def test_idle_client(self, lmtp: MemoryLmtp, politely: bool) -> None:
        client = lmtp.client()
        client.send(b"LHLO c\r\n")
        self.drain(lmtp, politely=politely)
        assert client.take() == self.GOODBYE
        assert client.closed

    def test_message_under_way_is_finished(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\nhalf")
        self.drain(lmtp, politely=False)
        assert client.take() == b""
        answer = client.send(b"\r\n.\r\nMAIL FROM:<>\r\n")
        assert answer.startswith(b"250 2.0.0 <u1@example.org> S1 Saved\r\n")
        assert answer.endswith(self.GOODBYE)
        assert client.closed

    def test_message_under_way_is_cut_at_a_stop(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\nhalf")
        self.drain(lmtp, politely=True)
        assert client.take() == self.GOODBYE
        assert client.closed
        assert lmtp.messages(U1) == []

    @pytest.mark.parametrize("politely", [False, True])
    def test_delivery_is_answered(self, lmtp: MemoryLmtp, politely: bool) -> None:
        lmtp.gates[U1] = asyncio.Event()
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\n")
        client.send(b"x\r\n.\r\n")
        self.drain(lmtp, politely=politely)
        assert client.take() == b""
        lmtp.gates[U1].set()
        assert client.take() == b"250 2.0.0 <u1@example.org> S1 Saved\r\n" + self.GOODBYE
        assert client.closed

    def test_transaction_given_up(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        self.drain(lmtp, politely=False)
        assert not client.closed
        assert client.send(b"RSET\r\n") == b"250 2.0.0 OK\r\n" + self.GOODBYE
        assert client.closed

    def test_transaction_not_begun_again(self, lmtp: MemoryLmtp) -> None:
        client = lmtp.client()
        client.begin(U1)
        self.drain(lmtp, politely=False)
        assert client.send(b"RSET\r\nMAIL FROM:<>\r\n").endswith(self.GOODBYE)
        assert client.closed
