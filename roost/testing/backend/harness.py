"""How the suite runs: a scene with a started backend, and helpers to write tests in few lines."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from roost.storage.api import (
    SYSTEM_FLAGS,
    AppendResult,
    Backend,
    BackendContext,
    ConnInfo,
    FetchRequest,
    Flags,
    Identity,
    Items,
    Mailbox,
    MessageBatch,
    NewMessage,
    Snapshot,
    Update,
    User,
)
from roost.storage.flagbits import names_in
from roost.util.ranges import Ranges

DEADLINE_SECS = 60

ALL = Ranges.span(1, (1 << 32) - 1)

Scenario = Callable[[Any, "Scene"], Awaitable[None]]


class Harness:
    """What a derived suite says about its backend."""

    two_processes = False
    persistent = True
    settings: dict[str, object] = {}  # noqa: RUF012  # read only

    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        """The backend under test, keeping everything under ``folder``; not started."""
        raise TypeError("derive from BackendSuite and define make_backend")


class Scene:
    """A started backend and what it has published. ``restart`` closes it and starts another on the same folder."""

    def __init__(self, suite: Harness, folder: Path, **settings: object) -> None:
        self.suite = suite
        self.folder = folder
        self.settings = {**suite.settings, **settings}
        self.hints: list[Update] = []
        self.logged: list[tuple[str, str]] = []
        self.backend = self._make()

    def _make(self) -> Backend:
        context = BackendContext(
            self.settings, self.hints.append, lambda level, text: self.logged.append((level, text))
        )
        return self.suite.make_backend(self.folder, context)

    async def restart(self, **settings: object) -> None:
        await self.backend.aclose()
        self.settings.update(settings)
        self.backend = self._make()
        await self.backend.start()

    async def user(self, name: str = "u1") -> User:
        """A new session of a user."""
        identity = Identity(name, home=str(self.folder / "homes" / name))
        return await self.backend.open_user(ConnInfo("test"), identity)

    async def inbox(self, user: str = "u1") -> Mailbox:
        return await (await self.user(user)).get_mailbox("INBOX")

    async def box(self, name: str, user: str = "u1") -> Mailbox:
        """A mailbox, made when it is missing."""
        session = await self.user(user)
        if name not in [info.name for info in await session.list_mailboxes()]:
            await session.create_mailbox(name)
        return await session.get_mailbox(name)

    async def fill(self, mailbox: Mailbox, count: int, *, start: int = 1) -> AppendResult:
        """``count`` messages with numbered subjects, keywords ``$TestN-1 $TestN-2`` for the first five, own dates."""
        user = await self.user()
        messages = []
        for number in range(start, start + count):
            keywords = (f"$Test{number}-1", f"$Test{number}-2") if number <= 5 else ()
            messages.append(new_message(user, numbered(number), keywords=keywords, date=date_of(number)))
        return await mailbox.create_messages(messages)


def scenario(test: Scenario) -> Callable[[Harness, Path], None]:
    """Run an ``async`` test method with a fresh scene, against a deadline; the backend is closed afterwards."""

    @functools.wraps(test)
    def run(self: Harness, tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(_play(self, tmp_path, test), DEADLINE_SECS))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "tmp_path")]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what pytest gives it
    return run


async def _play(suite: Harness, folder: Path, test: Scenario) -> None:
    scene = Scene(suite, folder)
    await scene.backend.start()
    try:
        await test(suite, scene)
    finally:
        await scene.backend.aclose()


# -- messages -------------------------------------------------------------------------------------------------------


def numbered(number: int) -> bytes:
    return (
        b"From: Sender <sender@example.org>\r\nTo: Someone <someone@example.net>\r\nSubject: Message %d\r\n"
        b"Message-ID: <%d@example.org>\r\n\r\nThis is message %d.\r\n" % (number, number, number)
    )


def date_of(number: int) -> int:
    """A different internal date for each number."""
    return 1_000_000_000 + 86_400 * number + number


def new_message(
    user: User, data: bytes, system: int = 0, keywords: tuple[str, ...] = (), date: int | None = None
) -> NewMessage:
    """A message ready for ``create_messages``."""
    upload = user.new_upload(len(data))
    upload.write(data)
    return NewMessage(upload, Flags(system, keywords), date)


async def append(
    mailbox: Mailbox, user: User, data: bytes, system: int = 0, keywords: tuple[str, ...] = (), date: int | None = None
) -> int:
    """One message; its uid."""
    result = await mailbox.create_messages([new_message(user, data, system, keywords, date)])
    return result.uids.first


async def fetch(mailbox: Mailbox, items: Items, uids: Ranges = ALL, **more: Any) -> list[MessageBatch]:
    return [batch async for batch in mailbox.list_messages(uids, FetchRequest(items, **more))]


async def column(mailbox: Mailbox, item: Items, name: str, uids: Ranges = ALL) -> dict[int, Any]:
    """One column of ``MessageBatch`` by uid."""
    out: dict[int, Any] = {}
    for batch in await fetch(mailbox, item, uids):
        values = vars_of(batch)[name]
        assert len(values) == len(batch.uids), f"{name} is not parallel to uids"
        out.update(zip(batch.uids, values, strict=True))
    return out


def vars_of(batch: MessageBatch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in MessageBatch.__slots__}


async def uids_of(mailbox: Mailbox) -> list[int]:
    """All uids, ascending."""
    out: list[int] = []
    for batch in await fetch(mailbox, Items.FLAGS):
        out.extend(batch.uids)
    assert out == sorted(set(out)), "list_messages must ascend"
    return out


async def contents(mailbox: Mailbox, uids: Ranges = ALL) -> dict[int, bytes]:
    """Whole messages by uid."""
    return {uid: await body.read() for uid, body in (await column(mailbox, Items.CONTENT, "contents", uids)).items()}


def flag_names(mask: int, keywords: tuple[str, ...]) -> frozenset[str]:
    """A mask as names."""
    system = {name for name, bit in SYSTEM_FLAGS.items() if mask & bit}
    return frozenset(system | set(names_in(keywords, mask)))


async def flags_of(mailbox: Mailbox, uids: Ranges = ALL) -> dict[int, frozenset[str]]:
    """Flags by uid, as names."""
    masks = await column(mailbox, Items.FLAGS, "flags", uids)
    table = (await mailbox.select(read_only=True, claim_recent=False)).keywords
    return {uid: flag_names(mask, table) for uid, mask in masks.items()}


async def peek(mailbox: Mailbox) -> Snapshot:
    """A snapshot that claims nothing."""
    return await mailbox.select(read_only=True, claim_recent=False)


def names(infos: Iterable[Any]) -> list[str]:
    return [info.name for info in infos]
