"""What is measured: WORKLOADS, name → (unit, function). A function returns (operations, server CPU seconds)."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.bench.client import Failed, Imap, Lmtp
from tests.bench.messages import message
from tests.bench.servers import Server

Result = tuple[int, float]
BOX = b"bench"  # of user u1
MESSAGES = 5000


def fill(client: Imap, mailbox: bytes, count: int, size_octets: int = 4096) -> None:
    """Make ``mailbox`` with ``count`` messages unless it is there already."""
    try:
        if client.count(mailbox) == count:
            return
    except Failed:
        client.ok(b"CREATE " + mailbox)
    for start in range(0, count, 100):
        client.append(mailbox, [message(n, size_octets) for n in range(start, min(count, start + 100))])


def _timed(server: Server, operations: int, work: Callable[[], None]) -> Result:
    before = server.meter.cpu_secs()
    work()
    return operations, server.meter.cpu_secs() - before


def _selected(server: Server) -> Imap:
    client = Imap(server.imap_port, "u1")
    fill(client, BOX, MESSAGES)
    client.ok(b"SELECT " + BOX)
    return client


def login(server: Server) -> Result:
    def work() -> None:
        for n in range(400):
            client = Imap(server.imap_port, f"u{n % 20 + 1}")
            client.ok(b"LOGOUT")
            client.close()

    return _timed(server, 400, work)


def _repeat(server: Server, client: Imap, command: bytes, times: int, per_command: int = 1) -> Result:
    client.ok(command)

    def work() -> None:
        for _ in range(times):
            client.ok(command)

    return _timed(server, times * per_command, work)


def noop(server: Server) -> Result:
    return _repeat(server, Imap(server.imap_port, "u1"), b"NOOP", 20_000)


def noop_selected(server: Server) -> Result:
    return _repeat(server, _selected(server), b"NOOP", 20_000)


def select(server: Server) -> Result:
    return _repeat(server, _selected(server), b"SELECT " + BOX, 3000)


def fetch_flags(server: Server) -> Result:
    return _repeat(server, _selected(server), b"FETCH 1:* (UID FLAGS)", 40, MESSAGES)


def fetch_envelope(server: Server) -> Result:
    items = b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
    return _repeat(server, _selected(server), items, 8, MESSAGES)


def fetch_headers(server: Server) -> Result:
    items = b"FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID References)])"
    return _repeat(server, _selected(server), items, 8, MESSAGES)


def fetch_bodies(server: Server) -> Result:
    return _repeat(server, _selected(server), b"FETCH 1:* (UID BODY.PEEK[])", 5, MESSAGES)


def fetch_one_body(server: Server) -> Result:
    client = _selected(server)

    def work() -> None:
        for n in range(5000):
            client.ok(b"FETCH %d (UID BODY.PEEK[])" % (n * 37 % MESSAGES + 1))

    return _timed(server, 5000, work)


def store_all(server: Server) -> Result:
    client = _selected(server)

    def work() -> None:
        for _ in range(10):
            client.ok(b"STORE 1:* +FLAGS.SILENT (\\Flagged)")
            client.ok(b"STORE 1:* -FLAGS.SILENT (\\Flagged)")

    return _timed(server, 20 * MESSAGES, work)


def store_one(server: Server) -> Result:
    client = _selected(server)

    def work() -> None:
        for n in range(3000):
            client.ok(b"STORE %d %bFLAGS (\\Answered)" % (n // 2 % MESSAGES + 1, b"-" if n % 2 else b"+"))

    return _timed(server, 3000, work)


def append(server: Server) -> Result:
    client = Imap(server.imap_port, "u2")
    mailbox = b"append%d" % time.monotonic_ns()
    client.ok(b"CREATE " + mailbox)
    messages = [message(n, 4096) for n in range(500)]

    def work() -> None:
        for octets in messages:
            client.append(mailbox, [octets])

    return _timed(server, 500, work)


def append_large(server: Server) -> Result:
    client = Imap(server.imap_port, "u2")
    mailbox = b"large%d" % time.monotonic_ns()
    client.ok(b"CREATE " + mailbox)
    octets = message(1, 1 << 20)

    def work() -> None:
        for _ in range(40):
            client.append(mailbox, [octets])

    return _timed(server, 40, work)


def multiappend(server: Server) -> Result:
    client = Imap(server.imap_port, "u3")
    mailbox = b"multi%d" % time.monotonic_ns()
    client.ok(b"CREATE " + mailbox)
    batches = [[message(n, 4096) for n in range(start, start + 50)] for start in range(0, 1000, 50)]

    def work() -> None:
        for batch in batches:
            client.append(mailbox, batch)

    return _timed(server, 1000, work)


def lmtp(server: Server) -> Result:
    client = Lmtp(server.lmtp_port)
    recipient = b"u4" + server.domain.encode()
    messages = [message(n, 4096) for n in range(500)]
    client.deliver(recipient, messages[0])

    def work() -> None:
        for octets in messages:
            client.deliver(recipient, octets)

    return _timed(server, 500, work)


def copy(server: Server) -> Result:
    client = _selected(server)
    target = b"copy%d" % time.monotonic_ns()
    client.ok(b"CREATE " + target)
    return _timed(server, MESSAGES, lambda: client.ok(b"COPY 1:* " + target) and None)


def expunge(server: Server) -> Result:
    client = _selected(server)
    target = b"expunge%d" % time.monotonic_ns()
    client.ok(b"CREATE " + target)
    client.ok(b"COPY 1:* " + target)
    client.ok(b"SELECT " + target)
    client.ok(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
    return _timed(server, MESSAGES, lambda: client.ok(b"EXPUNGE") and None)


def search_unseen(server: Server) -> Result:
    return _repeat(server, _selected(server), b"SEARCH UNSEEN", 200)


WORKLOADS: dict[str, tuple[str, Callable[[Server], Result]]] = {
    "login": ("login", login),
    "noop": ("command", noop),
    "noop selected": ("command", noop_selected),
    "select": ("command", select),
    "append 4 KB": ("message", append),
    "append 1 MB": ("message", append_large),
    "multiappend 4 KB": ("message", multiappend),
    "lmtp 4 KB": ("message", lmtp),
    "fetch flags": ("message", fetch_flags),
    "fetch envelope + structure": ("message", fetch_envelope),
    "fetch six header fields": ("message", fetch_headers),
    "fetch BODY[] of all": ("message", fetch_bodies),
    "fetch BODY[] of one": ("command", fetch_one_body),
    "store 1:* silent": ("message", store_all),
    "store one": ("command", store_one),
    "copy 1:*": ("message", copy),
    "expunge all": ("message", expunge),
    "search unseen": ("command", search_unseen),
}
