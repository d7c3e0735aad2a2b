"""CPU of the store alone, a figure for each operation of the storage boundary: ``python -m bench.store [driver]``.

User and system time of this process, so the writer's threads count too. Best of a few rounds; a quiet machine and one
core (``taskset -c 0``) give figures that repeat.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.messages import message
from roost.imap.search_keys import Flag, Header, Text
from roost.storage.api import (
    DELETED,
    FLAGGED,
    SEEN,
    BackendContext,
    ConnInfo,
    FetchRequest,
    Flags,
    FlagsOp,
    Identity,
    Items,
    Mailbox,
    NewMessage,
    User,
)
from roost.storage.backends import open_backend
from roost.util.ranges import Ranges

SIX = (b"date", b"from", b"to", b"subject", b"message-id", b"references")
TEN_THOUSAND = Ranges.span(1, 10_000)


class Bench:
    """One store, one user."""

    def __init__(self, driver: str, folder: str) -> None:
        self.backend = open_backend(driver, BackendContext({}, lambda update: None, lambda level, text: None))
        self.folder = folder

    async def user(self, name: str = "u") -> User:
        return await self.backend.open_user(ConnInfo("bench"), Identity(name, os.path.join(self.folder, name)))

    async def fill(self, mailbox: Mailbox, count: int, size: int = 4096, step: int = 200) -> None:
        user = await self.user()
        for at in range(0, count, step):
            await mailbox.create_messages([new(user, message(n, size)) for n in range(at, min(at + step, count))])


def new(user: User, data: bytes) -> NewMessage:
    upload = user.new_upload(len(data))
    upload.write(data)
    return NewMessage(upload)


async def measure(
    name: str, unit: str, count: int, call: Callable[[], Awaitable[object]], *, rounds: int = 7, once: bool = False
) -> None:
    """``call`` does ``count`` units; prints µs of CPU and of wall time for one, the best round."""
    best = wall = 1e18
    for _ in range(1 if once else rounds):
        gc.collect()
        started, cpu = time.perf_counter(), time.process_time()
        await call()
        cpu, passed = time.process_time() - cpu, time.perf_counter() - started
        if cpu < best:
            best, wall = cpu, passed
    print(f"{name:44} {1e6 * best / count:10.3f} µs CPU {1e6 * wall / count:10.3f} µs wall  /{unit}", flush=True)


async def appends(bench: Bench) -> None:
    user = await bench.user("append")
    inbox = await user.get_mailbox("INBOX")
    texts = [message(n, 4096) for n in range(300)]

    async def alone() -> None:
        for text in texts:
            await inbox.create_messages([new(user, text)])

    async def together() -> None:
        for at in range(0, 288, 16):
            await asyncio.gather(*[inbox.create_messages([new(user, text)]) for text in texts[at : at + 16]])

    async def multi() -> None:
        await inbox.create_messages([new(user, text) for text in texts])

    big = message(1, 1 << 20)

    async def large() -> None:
        for _ in range(10):
            with user.new_upload(len(big)) as upload:
                for at in range(0, len(big), 65536):
                    upload.write(big[at : at + 65536])
                await inbox.create_messages([NewMessage(upload)])

    await measure("append 4 KB, durable", "message", 300, alone)
    await measure("append 4 KB, 16 waiting (grouped)", "message", 288, together)
    await measure("multiappend 4 KB", "message", 300, multi)
    await measure("append 1 MB", "message", 10, large)


async def flags(bench: Bench, inbox: Mailbox) -> None:
    turn = 0

    async def one() -> None:
        nonlocal turn
        turn += 1
        op = FlagsOp.ADD if turn % 2 else FlagsOp.REMOVE
        for n in range(1, 501):
            await inbox.update_messages_flags(Ranges.span(n, n), op, Flags(FLAGGED))

    async def every() -> None:
        nonlocal turn
        turn += 1
        op = FlagsOp.ADD if turn % 2 else FlagsOp.REMOVE
        await inbox.update_messages_flags(TEN_THOUSAND, op, Flags(SEEN))

    await measure("store flags of one", "command", 500, one, rounds=10)
    await measure("store flags of 1:10000", "message", 10_000, every)


async def reads(bench: Bench, inbox: Mailbox) -> None:
    async def select() -> None:
        for _ in range(1000):
            await inbox.select(read_only=False, claim_recent=True)

    cursor = (await inbox.select(read_only=False, claim_recent=True)).cursor

    async def poll() -> None:
        for _ in range(5000):
            await inbox.poll(cursor, claim_recent=True)

    async def status() -> None:
        for _ in range(500):
            await inbox.status()

    def scan(items: Items, **more: object) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            seen = 0
            async for batch in inbox.list_messages(TEN_THOUSAND, FetchRequest(items, **more)):  # type: ignore[arg-type]
                seen += len(batch.uids)
                if batch.contents is not None:
                    for body in batch.contents:
                        await body.read()
            assert seen == 10_000, seen

        return run

    async def one_body() -> None:
        for n in range(1, 1001):
            async for batch in inbox.list_messages(Ranges.span(n, n), FetchRequest(Items.CONTENT)):
                await (batch.contents or [])[0].read()

    await measure("select, cached, 10,000", "command", 1000, select)
    await measure("poll, nothing new", "command", 5000, poll)
    await measure("status", "command", 500, status)
    await measure("list flags", "message", 10_000, scan(Items.FLAGS))
    await measure("list flags, size, internal date", "message", 10_000,
                  scan(Items.FLAGS | Items.SIZE | Items.INTERNAL_DATE))  # fmt: skip
    await measure("list envelope + bodystructure", "message", 10_000, scan(Items.ENVELOPE | Items.BODYSTRUCTURE))
    await measure("list six header fields", "message", 10_000, scan(Items(0), header_fields=SIX))
    await measure("list whole bodies, 4 KB", "message", 10_000, scan(Items.CONTENT))
    await measure("read one body", "command", 1000, one_body)


async def searches(bench: Bench, inbox: Mailbox) -> None:
    async def unseen() -> None:
        await inbox.search_messages(Flag(SEEN, False))

    async def subject() -> None:
        await inbox.search_messages(Header("subject", "harbour lantern"))

    async def text() -> None:
        await inbox.search_messages(Text("copper signal ledger"))

    await measure("search unseen, 10,000", "command", 1, unseen)
    await measure("search subject, 10,000", "command", 1, subject)
    await measure("search text, 10,000, no index", "command", 1, text, rounds=2)


async def moves(bench: Bench, inbox: Mailbox) -> None:
    user = await bench.user()
    half = Ranges.span(1, 5000)

    async def copy() -> None:
        await inbox.copy_messages(half, "Sent")

    await measure("copy 1:5000", "message", 5000, copy, rounds=3)
    sent = await user.get_mailbox("Sent")

    async def expunge() -> None:
        await sent.update_messages_flags(half, FlagsOp.ADD, Flags(DELETED))
        await sent.expunge(half)

    await measure("expunge of 5000 (with its store)", "message", 5000, expunge, once=True)

    async def move() -> None:
        await inbox.move_messages(Ranges.span(5001, 10_000), "Trash")

    await measure("move of 5000", "message", 5000, move, once=True)


async def cold(bench: Bench, driver: str, count: int) -> None:
    user = await bench.user("cold")
    inbox = await user.get_mailbox("INBOX")
    small = [new(user, b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(count)]
    for at in range(0, count, 2000):
        await inbox.create_messages(small[at : at + 2000])
    await inbox.select(read_only=False, claim_recent=True)
    await inbox.check()
    await bench.backend.aclose()
    bench.backend = open_backend(driver, BackendContext({}, lambda update: None, lambda level, text: None))
    await bench.backend.start()
    again = await (await bench.user("cold")).get_mailbox("INBOX")

    async def select() -> None:
        assert (await again.select(read_only=True, claim_recent=False)).count == count

    await measure(f"select, cold, {count:,}", "command", 1, select, once=True)
    await measure(f"select, cached, {count:,}", "command", 1, select)


async def run(driver: str) -> None:
    with tempfile.TemporaryDirectory(prefix="roost-bench-", dir=os.environ.get("BENCH_DIR", Path.cwd())) as folder:
        bench = Bench(driver, folder)
        await bench.backend.start()
        inbox = await (await bench.user()).get_mailbox("INBOX")
        await appends(bench)
        await bench.fill(inbox, 10_000)
        await flags(bench, inbox)
        await reads(bench, inbox)
        await searches(bench, inbox)
        await moves(bench, inbox)
        await cold(bench, driver, 100_000)
        await bench.backend.aclose()


if __name__ == "__main__":
    if "--asyncio" in sys.argv:
        asyncio.run(run("sqlite"))
    else:
        uvloop.run(run(sys.argv[1] if len(sys.argv) > 1 else "sqlite"))
