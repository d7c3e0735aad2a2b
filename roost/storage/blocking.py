"""``BlockingBackend``: makes a store whose calls block (on files, a database driver, a lock) fit for the event loop.

The inner store's methods are ``async`` by form but never wait: each runs from its start to its end on a thread. One
user's calls run one after another in the order they were made (a *lane*), different users' side by side on a bounded
number of threads. ``list_messages`` takes one hop a batch, so a slow client keeps no thread.
``publish`` is called on a thread.

A call that is cancelled before its turn never runs; one cancelled later runs to its end and nobody hears of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from roost.imap.search_keys import Criteria
from roost.storage.api import (
    AppendResult,
    Backend,
    Body,
    Changes,
    ConnInfo,
    CopyResult,
    ExpungeResult,
    FetchRequest,
    Flags,
    FlagsOp,
    Identity,
    Mailbox,
    MailboxInfo,
    MailboxStatus,
    MessageBatch,
    NewMessage,
    SearchResult,
    Snapshot,
    StoreResult,
    User,
)
from roost.storage.upload import Upload
from roost.storage.waiting import Clock
from roost.util.ranges import Ranges

T = TypeVar("T")


def run_through(call: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing; it may offer others a turn. Raises RuntimeError if it waits."""
    try:
        while call.send(None) is None:
            pass
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the coroutine returned
    call.close()
    raise RuntimeError("a store behind BlockingBackend must not wait for the event loop")


class Lane:
    """One user's calls, in order, on one thread at a time."""

    def __init__(self, threads: ThreadPoolExecutor, clock: Clock) -> None:
        self._threads = threads
        self._clock = clock
        self._waiting: deque[tuple[Coroutine[Any, Any, Any], Any]] = deque()
        self._working = False
        self._lock = Lock()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of ``call``, made on a thread."""
        answer = self._clock.future()
        with self._lock:
            self._waiting.append((call, answer))
            start, self._working = not self._working, True
        if start:
            self._threads.submit(self._work)
        return await answer  # type: ignore[no-any-return]  # what the coroutine returned

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                call, answer = self._waiting.popleft()
            if answer.cancelled():
                call.close()
                continue
            try:
                result = run_through(call)
            except BaseException as exc:
                self._clock.call_soon(_fail, answer, exc)
            else:
                self._clock.call_soon(_succeed, answer, result)


def _succeed(answer: Any, result: object) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: Any, exc: BaseException) -> None:
    if not answer.done():
        answer.set_exception(exc)


class BlockingBackend:
    """``BlockingBackend(inner)`` is a Backend; see the head of the file."""

    def __init__(self, inner: Backend, *, threads: int = 8) -> None:
        self.inner = inner
        self.features = inner.features
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._lanes: WeakValueDictionary[str, Lane] = WeakValueDictionary()
        self._clock: Clock

    async def start(self) -> None:
        self._clock = Clock()
        await self._lane("").run(self.inner.start())

    async def aclose(self) -> None:
        for lane in [*self._lanes.values(), self._lane("")]:
            await lane.run(_nothing())
        await self._lane("").run(self.inner.aclose())
        self._threads.shutdown()

    async def open_user(self, conn: ConnInfo, identity: Identity) -> BlockingUser:
        lane = self._lane(identity.username)
        return BlockingUser(await lane.run(self.inner.open_user(conn, identity)), lane)

    def _lane(self, username: str) -> Lane:
        lane = self._lanes.get(username)
        if lane is None:
            lane = self._lanes[username] = Lane(self._threads, self._clock)
        return lane


async def _nothing() -> None:
    """Takes its turn in a lane."""


class BlockingUser:
    """A user's session; every call but ``new_upload`` takes a hop."""

    def __init__(self, inner: User, lane: Lane) -> None:
        self.inner = inner
        self.username = inner.username
        self.append_limit = inner.append_limit
        self._run = lane.run
        self._lane = lane

    async def list_mailboxes(self, *, subscribed: bool = False) -> Sequence[MailboxInfo]:
        return await self._run(self.inner.list_mailboxes(subscribed=subscribed))

    async def get_mailbox(self, name: str) -> BlockingMailbox:
        return BlockingMailbox(await self._run(self.inner.get_mailbox(name)), self._lane)

    async def create_mailbox(self, name: str, *, special_use: Collection[str] = ()) -> MailboxInfo:
        return await self._run(self.inner.create_mailbox(name, special_use=special_use))

    async def delete_mailbox(self, name: str) -> None:
        await self._run(self.inner.delete_mailbox(name))

    async def rename_mailbox(self, existing: str, new: str) -> None:
        await self._run(self.inner.rename_mailbox(existing, new))

    async def set_subscribed(self, name: str, subscribed: bool) -> None:
        await self._run(self.inner.set_subscribed(name, subscribed))

    def new_upload(self, size_octets: int) -> Upload:
        return self.inner.new_upload(size_octets)

    async def logout(self) -> None:
        await self._run(self.inner.logout())


class BlockingMailbox:
    """A mailbox; every call takes a hop."""

    def __init__(self, inner: Mailbox, lane: Lane) -> None:
        self.inner = inner
        self.id = inner.id
        self._run = lane.run

    @property
    def name(self) -> str:
        return self.inner.name

    async def info(self) -> MailboxInfo:
        return await self._run(self.inner.info())

    async def status(self) -> MailboxStatus:
        return await self._run(self.inner.status())

    async def check(self) -> None:
        await self._run(self.inner.check())

    async def select(self, *, read_only: bool, claim_recent: bool) -> Snapshot:
        return await self._run(self.inner.select(read_only=read_only, claim_recent=claim_recent))

    async def poll(self, cursor: int, *, claim_recent: bool, own: Collection[int] = ()) -> Changes:
        return await self._run(self.inner.poll(cursor, claim_recent=claim_recent, own=own))

    async def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]:
        batches = aiter(self.inner.list_messages(uids, request))
        while True:
            batch = await self._run(_next(batches))
            if batch is None:
                return
            if batch.contents is not None:
                batch.contents = [BlockingBody(body, self._run) for body in batch.contents]
            yield batch

    async def search_messages(self, criteria: Criteria, within: Ranges | None = None) -> SearchResult:
        return await self._run(self.inner.search_messages(criteria, within))

    async def create_messages(self, messages: Sequence[NewMessage]) -> AppendResult:
        return await self._run(self.inner.create_messages(messages))

    async def update_messages_flags(
        self, uids: Ranges, op: FlagsOp, flags: Flags, *, unchanged_since: int | None = None
    ) -> StoreResult:
        return await self._run(self.inner.update_messages_flags(uids, op, flags, unchanged_since=unchanged_since))

    async def copy_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return await self._run(self.inner.copy_messages(uids, dest))

    async def move_messages(self, uids: Ranges, dest: str) -> CopyResult:
        return await self._run(self.inner.move_messages(uids, dest))

    async def expunge(self, uids: Ranges | None = None) -> ExpungeResult:
        return await self._run(self.inner.expunge(uids))

    async def rest(self) -> None:
        await self._run(self.inner.rest())

    async def aclose(self) -> None:
        await self._run(self.inner.aclose())


async def _next(batches: AsyncIterator[MessageBatch]) -> MessageBatch | None:
    return await anext(batches, None)


class BlockingBody:
    """A body that is read on a thread."""

    __slots__ = ("_inner", "_run", "size_octets")

    def __init__(self, inner: Body, run: Any) -> None:
        self._inner = inner
        self._run = run
        self.size_octets = inner.size_octets

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        data: bytes = await self._run(self._inner.read(start, stop))
        return data
