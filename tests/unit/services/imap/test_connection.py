"""The connection: cuts, order, limits, slow and vanishing clients."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from kit.imap_memory import MemoryChannel, MemoryImap
from kit.imap_player import sample

from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.mail import MailSettings
from roost.storage.api import BackendContext
from roost.storage.backends.memory import MemoryBackend


@pytest.fixture
def imap() -> Iterator[Callable[..., MemoryImap]]:
    servers = []

    def make(*args: object, **more: object) -> MemoryImap:
        servers.append(MemoryImap(*args, **more))  # type: ignore[arg-type]
        return servers[-1]

    yield make
    for server in servers:
        server.close()
        assert not server.failures, server.failures


def until(channel: MemoryChannel, ending: bytes) -> bytes:
    """Everything received up to and with ``ending``."""
    got = b""
    while ending not in got:
        more = channel.receive(5)
        assert more, f"{ending!r} did not come after {got[-400:]!r}"
        got += more
    return got


def logged_in(server: MemoryImap, *more: bytes) -> MemoryChannel:
    channel = server.connect()
    channel.send(b"".join([b"L LOGIN u1 pw\r\n", *more]))
    until(channel, b"L OK")
    return channel


def filled(server: MemoryImap, count: int, size: int = 0) -> MemoryChannel:
    """A session with INBOX selected, which holds ``count`` messages."""
    channel = logged_in(server)
    for n in range(count):
        message = sample(n + 1) + b"x" * size
        channel.send(b"P APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        until(channel, b"P OK")
    channel.send(b"S SELECT INBOX\r\n")
    until(channel, b"S OK")
    return channel


CONVERSATION = (
    b"A1 CAPABILITY\r\nA2 LOGIN {2}\r\nu1 {2+}\r\npw\r\n\r\nA3 APPEND INBOX (\\Seen) {11}\r\nSubject: x\n NOPE\r\n"
    b'A4 APPEND INBOX {5+}\r\nhello\r\nA5 SELECT "INBOX"\r\nA6 FETCH 1:* (FLAGS BODY[])\r\nA7 IDLE\r\nDONE\r\n'
    b"A8 AUTHENTICATE PLAIN\r\nA9 UID STORE 1 +FLAGS (\\Deleted)\r\nB1 EXPUNGE\r\nB2 LOGOUT\r\n"
)


def replies(server: MemoryImap, pieces: list[bytes]) -> bytes:
    channel = server.connect()
    for piece in pieces:
        channel.send(piece)
    got = b""
    while (more := channel.receive(5)) is not None:
        assert more, got
        got += more
    return got.replace(b"session1", b"")


def test_octet_by_octet_and_in_random_cuts_the_conversation_is_the_same(imap: Callable[..., MemoryImap]) -> None:
    whole = strip(replies(imap(), [CONVERSATION]))
    assert b"B2 OK" in whole
    assert strip(replies(imap(), [bytes([octet]) for octet in CONVERSATION])) == whole
    rng = random.Random(7)
    for _ in range(20):
        cuts = sorted(rng.sample(range(len(CONVERSATION)), 8))
        pieces = [CONVERSATION[a:b] for a, b in zip([0, *cuts], [*cuts, len(CONVERSATION)], strict=True)]
        assert strip(replies(imap(), pieces)) == whole


def strip(said: bytes) -> bytes:
    """UIDVALIDITY depends on the clock."""
    import re

    return re.sub(rb"\d{10}", b"V", said)


def test_pipelined_commands_leave_in_one_write(imap: Callable[..., MemoryImap]) -> None:
    channel = logged_in(imap())
    channel.send(b"".join(b"A%d NOOP\r\n" % n for n in range(50)))
    assert len(channel.transport.written) == 1
    assert channel.transport.written[0].count(b" OK NOOP") == 50


def test_commands_after_a_waiting_one_wait_in_bounds_and_run_in_order(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = server.connect()
    channel.receive(1)
    server.auth.gate = server.loop.create_future()
    channel.send(b"A1 LOGIN u1 pw\r\n")
    for n in range(200):
        channel.send(b"B%d CREATE box%d\r\n" % (n, n))
    assert not channel.transport.reading
    assert channel.connection.assembler.has_buffered
    assert len(channel.waiting) > 100 * 15  # the rest is still the kernel's
    server.auth.gate.set_result(None)
    server.auth.gate = None
    got = until(channel, b"B199 OK")
    assert [line.split()[0] for line in got.split(b"\r\n") if b" OK " in line][1:] == [b"B%d" % n for n in range(200)]
    assert channel.transport.reading


def test_a_client_that_stops_reading_costs_bounded_memory_and_no_other_client(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    slow = filled(server, 100, 40_000)
    other = logged_in(server)
    slow.transport.full = True
    slow.send(b"F FETCH 1:* BODY.PEEK[]\r\n")
    for n in range(20):
        other.send(b"N%d NOOP\r\n" % n)
        until(other, b"N%d OK" % n)
    held = sum(map(len, slow.transport.written))
    assert held < 700_000, "output goes on although nobody reads"
    slow.transport.take_all()
    got = until(slow, b"F OK")
    assert got.count(b" FETCH (BODY[]") == 100


def test_a_big_message_is_streamed(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = filled(server, 1, 3_000_000)
    channel.transport.full = True
    channel.send(b"F FETCH 1 BODY.PEEK[]\r\n")
    for _ in range(20):
        server.turn()
    assert sum(map(len, channel.transport.written)) < 1_000_000
    channel.transport.take_all()
    assert len(until(channel, b"F OK")) > 3_000_000


def test_a_big_append_goes_straight_to_its_upload(imap: Callable[..., MemoryImap]) -> None:
    channel = logged_in(imap())
    message = sample(1) + b"y" * 2_000_000
    channel.send(b"A APPEND INBOX {%d}\r\n" % len(message))
    until(channel, b"+ OK\r\n")
    for at in range(0, len(message), 50_000):
        channel.send(message[at : at + 50_000])
        assert len(channel.connection.assembler._tail) < 1000
    channel.send(b"\r\nB STATUS INBOX (SIZE)\r\n")
    assert b"SIZE %d" % len(message) in until(channel, b"B OK")


def test_a_too_big_literal_that_comes_anyway_is_thrown_away(imap: Callable[..., MemoryImap]) -> None:
    mail = MailSettings(mail_max_message_octets=100_000)
    channel = logged_in(imap(mail=mail))
    channel.send(b"A APPEND INBOX {200000+}\r\n" + b"z" * 200_000 + b"\r\nB NOOP\r\n")
    got = until(channel, b"B OK")
    assert b"A NO [TOOBIG]" in got
    channel.send(b"C APPEND INBOX {100001}\r\n")
    assert b"C NO [TOOBIG]" in until(channel, b"C NO")


@pytest.mark.parametrize("where", range(0, len(CONVERSATION), 3))
def test_a_client_may_vanish_anywhere(imap: Callable[..., MemoryImap], where: int) -> None:
    server = imap()
    channel = server.connect()
    channel.send(CONVERSATION[:where])
    channel.close()
    server.turn()
    assert channel.connection.closing
    assert channel.connection._task is None or channel.connection._task.done()
    assert not [text for level, text in server.sink.rows if level in "EWFP"]


def test_who_vanishes_during_login_is_forgotten_everywhere(imap: Callable[..., MemoryImap]) -> None:
    class Anvil:
        sessions: set[str] = set()

        async def connect(
            self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
        ) -> int:
            self.sessions.add(session_id)
            await server.loop.create_future()
            return 1

        def disconnect(self, session_id: str) -> None:
            self.sessions.discard(session_id)

    anvil = Anvil()
    server = imap(anvil=anvil)
    channel = server.connect()
    channel.send(b"A LOGIN u1 pw\r\n")
    server.turn()
    assert anvil.sessions
    channel.close()
    server.turn()
    assert not anvil.sessions


def test_what_came_before_eof_is_answered(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = server.connect()
    server.auth.gate = server.loop.create_future()
    channel.send(b"A LOGIN u1 pw\r\nB NOOP\r\n")
    channel.eof()
    server.auth.gate.set_result(None)
    got = until(channel, b"B OK")
    assert b"A OK" in got
    assert channel.receive(5) is None


def test_eof_ends_an_idle(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = logged_in(server)
    channel.send(b"A IDLE\r\n")
    until(channel, b"+ idling")
    channel.eof()
    assert channel.receive(5) is None


def test_too_many_sessions_of_one_user(imap: Callable[..., MemoryImap]) -> None:
    class Anvil:
        async def connect(
            self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
        ) -> int:
            return 21

        def disconnect(self, session_id: str) -> None:
            gone.append(session_id)

    gone: list[str] = []
    server = imap(anvil=Anvil())
    channel = server.connect()
    channel.send(b"A LOGIN u1 pw\r\n")
    assert b"A NO [LIMIT] " in until(channel, b"A NO")
    assert gone == ["session1"]
    assert any("mail_max_userip_connections" in text for _, text in server.sink.rows)


def test_passwords_need_tls_unless_the_client_is_near(imap: Callable[..., MemoryImap]) -> None:
    server = imap(auth_settings=AuthSettings(), tls_ready=True)
    channel = server.connect()
    greeting = until(channel, b"\r\n")
    assert b" STARTTLS " in greeting and b" LOGINDISABLED" in greeting and b"AUTH=PLAIN" not in greeting
    channel.send(b"A LOGIN u1 pw\r\n")
    got = until(channel, b"A NO")
    assert b"* BAD [ALERT]" in got and b"A NO [PRIVACYREQUIRED]" in got
    channel.send(b"B AUTHENTICATE PLAIN AHUxAHB3\r\n")
    assert b"B NO [PRIVACYREQUIRED]" in until(channel, b"B NO")
    near = server.connect(("192.0.2.9", 4000))
    near.send(b"A LOGIN u1 pw\r\n")
    assert b"A OK" in until(near, b"A OK")


def test_a_login_after_ten_failures_is_not_tried(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = server.connect()
    for n in range(10):
        channel.send(b"A%d LOGIN u1 wrong\r\n" % n)
        assert b"A%d NO [AUTHENTICATIONFAILED]" % n in until(channel, b"A%d NO" % n)
    channel.send(b"B LOGIN u1 pw\r\n")
    got = until(channel, b"* BYE")
    assert b"B OK" not in got
    assert channel.receive(5) is None or channel.transport.closed


def test_no_password_reaches_the_log(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    for lines in (
        [b"A LOGIN u1 s3cretpw\r\n"],
        [b"A LOGIN u1 {8+}\r\ns3cretpw\r\n"],
        [b"A AUTHENTICATE PLAIN AHUxAHMzY3JldHB3\r\n"],
        [b"A AUTHENTICATE PLAIN\r\n", b"AHUxAHMzY3JldHB3\r\n"],
        [b"A AUTHENTICATE LOGIN\r\n", b"dTE=\r\n", b"czNjcmV0cHc=\r\n"],
        [b"A LOGIN u1 s3cretpw extra\r\n"],
        [b'A LOGIN "u1" "s3cretpw\r\n'],
        [b"A LOGIN u1 s3cretpw" + b"x" * 9000 + b"\r\n"],
    ):
        channel = server.connect()
        for line in lines:
            channel.send(line)
            server.turn()
        channel.close()
    text = "\n".join(row for _, row in server.sink.rows)
    for secret in ("s3cretpw", "AHUxAHMzY3JldHB3", "czNjcmV0cHc"):
        assert secret not in text


class Broken(MemoryBackend):
    """A store that fails as told."""

    error: Exception = RuntimeError("planted")

    async def open_user(self, conn, identity):  # type: ignore[no-untyped-def]
        user = await super().open_user(conn, identity)
        backend = self

        async def get_mailbox(name: str) -> None:
            raise backend.error

        user.get_mailbox = get_mailbox
        return user


def broken(context: BackendContext) -> Broken:
    return Broken(context)


def test_our_own_fault_is_logged_with_its_traceback_and_ends_the_session(imap: Callable[..., MemoryImap]) -> None:
    server = imap(make_backend=broken)
    channel = logged_in(server)
    channel.send(b"A SELECT INBOX\r\n")
    assert b"A NO [SERVERBUG]" in until(channel, b"A NO")
    assert channel.receive(5) is None
    assert any("planted" in text for level, text in server.sink.rows if level == "E")


def test_a_store_that_is_down_is_said_once_in_a_while(imap: Callable[..., MemoryImap]) -> None:
    from roost.errors import Unavailable

    server = imap(make_backend=broken)
    server.backend.error = Unavailable("Store is away.", detail="planted")  # type: ignore[attr-defined]
    channel = logged_in(server)
    for n in range(3):
        channel.send(b"A%d SELECT INBOX\r\n" % n)
        assert b"NO [UNAVAILABLE] Store is away." in until(channel, b"A%d NO" % n)
    assert len([text for level, text in server.sink.rows if level == "W"]) == 1


def test_shutting_down_says_bye(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = logged_in(server)
    channel.send(b"A IDLE\r\n")
    until(channel, b"+ idling")
    channel.connection.shut_down()
    assert b"* BYE Server shutting down.\r\n" in until(channel, b"BYE")
    assert channel.receive(5) is None


def test_who_says_nothing_is_sent_away(imap: Callable[..., MemoryImap]) -> None:
    server = imap({"imap_first_command_timeout_secs": 1, "imap_login_timeout_secs": 1, "imap_autologout_secs": 1})
    silent, slow, idler, gone = server.connect(), server.connect(), server.connect(), server.connect()
    slow.send(b"A NOOP\r\nA LOGIN {2}\r\n")
    for channel in (idler, gone):
        channel.send(b"L LOGIN u1 pw\r\n")
        until(channel, b"L OK")
    idler.send(b"I IDLE\r\n")
    until(idler, b"+ idling")
    assert b"* BYE Disconnected for inactivity" in until(silent, b"BYE")
    assert b"* BYE Disconnected: Too slow login" in until(slow, b"BYE")
    assert b"* BYE Disconnected for inactivity" in until(gone, b"BYE")
    assert not idler.transport.closed


def test_idle_shows_life(imap: Callable[..., MemoryImap]) -> None:
    server = imap({"imap_idle_notify_interval_secs": 2})
    channel = logged_in(server)
    channel.send(b"A IDLE\r\n")
    assert b"* OK Still here\r\n" in until(channel, b"Still here")


def test_before_login_little_memory_can_be_taken(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    channel = server.connect()
    until(channel, b"\r\n")
    channel.send(b"A LOGIN {9000}\r\n")
    assert b"A BAD" in until(channel, b"A BAD")
    channel.send(b"B LOGIN {8000+}\r\n" + b"x" * 8000 + b" {8000+}\r\n" + b"y" * 8000 + b"\r\n")
    assert b"B BAD" in until(channel, b"B BAD")
    flood = server.connect()
    until(flood, b"\r\n")
    for _ in range(100):
        flood.send(b"(" * 50_000)
        assert len(flood.connection.assembler._tail) <= 9000
    assert b"BAD" in until(flood, b"BAD")


def test_a_view_too_old_to_poll_is_compared_anew(imap: Callable[..., MemoryImap]) -> None:
    server = imap()
    old = filled(server, 5)
    other = logged_in(server)
    other.send(b"S SELECT INBOX\r\n")
    until(other, b"S OK")
    other.send(b"D STORE 2 +FLAGS.SILENT (\\Deleted)\r\nE EXPUNGE\r\n")
    until(other, b"E OK")
    for n in range(2100):
        other.send(b"A STORE 1 +FLAGS.SILENT (\\Seen)\r\nB STORE 1 -FLAGS.SILENT (\\Seen)\r\n")
        if n % 100 == 0:
            server.turn()
            other.transport.written.clear()
    other.send(b"F STORE 3 +FLAGS.SILENT (\\Flagged)\r\nG APPEND INBOX {5+}\r\nhello\r\n")
    until(other, b"G OK")
    old.send(b"N NOOP\r\n")
    got = until(old, b"N OK")
    assert b"* 4 FETCH (FLAGS (\\Flagged \\Recent))\r\n" in got
    assert b"* 2 EXPUNGE\r\n" in got and b"* 5 EXISTS\r\n" in got
    old.send(b"M NOOP\r\n")
    assert until(old, b"M OK").startswith(b"M OK")
