"""Two figures that are not CPU per operation: memory of an idle connection, and how soon IDLE shows a new message."""

from __future__ import annotations

import statistics
import time

from tests.bench.client import Imap
from tests.bench.messages import message
from tests.bench.servers import Server

SETTLE_SECS = 2  # an idle connection is one that has been idle for a moment


def idle_memory_kb(server: Server, connections: int = 150) -> float:
    """PSS per connection that is logged in, has INBOX selected and idles."""

    def idler(number: int) -> Imap:
        client = Imap(server.imap_port, f"u{number + 100}")
        client.ok(b"SELECT INBOX")
        client.socket.sendall(b"i IDLE\r\n")
        client.socket.recv(100)
        return client

    warm = [idler(n) for n in range(10)]
    time.sleep(SETTLE_SECS)
    before = server.meter.pss_kb()
    clients = [idler(n + 10) for n in range(connections)]
    time.sleep(SETTLE_SECS)
    after = server.meter.pss_kb()
    for client in warm + clients:
        client.close()
    return (after - before) / connections


def push_latency_ms(server: Server, times: int = 50) -> float:
    """Median time from sending APPEND on one connection to EXISTS on another one that idles."""
    watcher, writer = Imap(server.imap_port, "u5"), Imap(server.imap_port, "u5")
    watcher.ok(b"SELECT INBOX")
    watcher.socket.sendall(b"i IDLE\r\n")
    watcher.socket.recv(100)
    octets = message(1, 2048)
    samples = []
    for _ in range(times):
        begin = time.perf_counter()
        writer.append(b"INBOX", [octets])
        seen = b""
        while b"EXISTS" not in seen:
            seen += watcher.socket.recv(4096)
        samples.append((time.perf_counter() - begin) * 1000)
    watcher.close()
    writer.close()
    return statistics.median(samples)
