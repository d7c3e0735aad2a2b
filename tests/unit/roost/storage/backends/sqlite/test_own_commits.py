"""What a process commits itself it does not read back; what another commits at the same moment is never missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from roost.errors import LimitExceeded
from roost.net.inline import Direct, run_direct
from roost.storage.api import DELETED, FLAGGED, BackendContext, ConnInfo, Flags, FlagsOp, Identity
from roost.storage.backends.sqlite.backend import SqliteBackend
from roost.storage.backends.sqlite.flags import Wish, store_inline
from roost.storage.backends.sqlite.watch import Watch
from roost.testing.backend.harness import append, flags_of, new_message, peek, uids_of
from roost.util.ranges import Ranges

Test = Callable[[Any, Any], Awaitable[None]]


def play(folder: Path, test: Test) -> None:
    """``test(mine, theirs)``: sessions of one user with two backends, as two processes have them."""

    async def run() -> None:
        context = BackendContext({}, lambda update: None, lambda level, text: None)
        backends = [SqliteBackend(context), SqliteBackend(context)]
        users = []
        for backend in backends:
            await backend.start()
            users.append(await backend.open_user(ConnInfo("test"), Identity("u", str(folder / "u"))))
            await users[-1].list_mailboxes()
        try:
            await asyncio.wait_for(test(*users), 30)
        finally:
            for backend in backends:
                await backend.aclose()

    asyncio.run(run())


def test_own_commits_are_not_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(mine: Any, theirs: Any) -> None:
        inbox = await mine.get_mailbox("INBOX")
        await append(inbox, mine, b"first")
        assert await uids_of(inbox) == [1]
        reads = []
        monkeypatch.setattr(mine.store, "_catch_up", lambda: reads.append("read"))
        await append(inbox, mine, b"second")
        await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(DELETED))
        await inbox.expunge()
        await inbox.copy_messages(Ranges.of(2), "INBOX")
        assert await uids_of(inbox) == [2, 3]
        assert not reads
        other = await theirs.get_mailbox("INBOX")
        assert await uids_of(other) == [2, 3]
        await append(other, theirs, b"theirs")
        await peek(inbox)
        assert reads
        monkeypatch.undo()
        mine.store._seen = b""
        assert await uids_of(inbox) == [2, 3, 4]

    play(tmp_path, test)


def test_a_writer_that_wrote_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its empty transaction must not take the credit for what another process commits right after it."""

    async def test(mine: Any, theirs: Any) -> None:
        inbox, other = await mine.get_mailbox("INBOX"), await theirs.get_mailbox("INBOX")
        await append(inbox, mine, b"first")
        await peek(inbox)
        await append(other, theirs, b"more")  # their columns are in memory now
        await peek(inbox)
        writer, seen = mine.store.writer, mine.store._head
        calls = []

        def head() -> bytes:
            calls.append(1)
            if len(calls) == 2:
                theirs.store.writer.connection.execute(
                    "INSERT INTO journal SELECT max(modseq) + 1, ?, 2, 0, 1, x'0400000000000000' FROM journal",
                    (inbox._number,),
                )
            return bytes(seen())

        monkeypatch.setattr(writer, "head", head)
        await mine.store.submit(lambda tx: None)
        if len(calls) < 2:
            head()
        assert "\\Flagged" in (await flags_of(inbox))[1]

    play(tmp_path, test)


def test_an_inline_transaction_that_wrote_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(mine: Any, theirs: Any) -> None:
        inbox, other = await mine.get_mailbox("INBOX"), await theirs.get_mailbox("INBOX")
        await append(inbox, mine, b"first")
        await peek(inbox)
        await peek(other)
        store, seen = mine.store, Watch.head
        done = []

        def flag() -> None:
            monkeypatch.setattr(Watch, "head", seen)
            wish = Wish(Ranges.of(1), FlagsOp.ADD, Flags(FLAGGED), None)
            done.append(store_inline(theirs.store, other._number, wish))

        def head(watch: Watch) -> bytes:
            if not store.connection.in_transaction:
                flag()
            return seen(watch)

        tx = store.begin_inline()
        monkeypatch.setattr(Watch, "head", head)
        store.commit_inline(tx)
        if not done:
            flag()
        assert done[0] is not None and "\\Flagged" in (await flags_of(inbox))[1]

    play(tmp_path, test)


def test_modseqs_of_two_writers(tmp_path: Path) -> None:
    """Each remembers the last modseq it gave out only as long as nobody else has written."""

    async def test(mine: Any, theirs: Any) -> None:
        inbox, other = await mine.get_mailbox("INBOX"), await theirs.get_mailbox("INBOX")
        given = []
        for mailbox, user in ((inbox, mine), (inbox, mine), (other, theirs), (inbox, mine), (other, theirs)) * 3:
            given.append((await mailbox.create_messages([new_message(user, b"x")])).modseq)
            if len(given) % 4 == 0:  # written by another connection of this process
                op = FlagsOp.ADD if len(given) % 8 else FlagsOp.REMOVE
                await inbox.update_messages_flags(Ranges.of(1), op, Flags(FLAGGED))
        assert given == sorted(set(given))
        assert await uids_of(inbox) == await uids_of(other) == list(range(1, 16))

    play(tmp_path, test)


def test_a_command_goes_on_inside_the_answer(tmp_path: Path) -> None:
    """Without a task; one that is cancelled while its job is at work hears nothing more, and the job is done."""

    async def test(mine: Any, theirs: Any) -> None:
        inbox, loop = await mine.get_mailbox("INBOX"), asyncio.get_running_loop()
        await append(inbox, mine, b"first")
        ended: list[Any] = []
        for cancel in (False, True):
            told = asyncio.Event()
            work = run_direct(loop, inbox.create_messages([new_message(mine, b"x")]), lambda step: step())
            assert type(work) is Direct
            work.add_done_callback(lambda work, told=told: (ended.append(work.cancelled()), told.set()))
            if cancel:
                work.cancel()
            await told.wait()
        assert ended == [False, True]
        await append(inbox, mine, b"last")
        assert (await uids_of(inbox))[:2] == [1, 2]

    play(tmp_path, test)


def test_what_the_writer_remembers_of_a_mailbox(tmp_path: Path) -> None:
    """UIDNEXT and keywords, from one append to the next: whatever else changes them, here or elsewhere, is seen."""

    async def test(mine: Any, theirs: Any) -> None:
        inbox, other = await mine.get_mailbox("INBOX"), await theirs.get_mailbox("INBOX")
        uids = [await append(inbox, mine, b"%d" % n, keywords=("one",)) for n in range(3)]
        uids += [await append(other, theirs, b"%d" % n, keywords=("two", "three")) for n in range(2)]
        uids.append(await append(inbox, mine, b"5", keywords=("three", "four")))
        await inbox.copy_messages(Ranges.of(1), "INBOX")
        uids += [7, await append(inbox, mine, b"7", keywords=("four",))]
        await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(0, ("five",)))
        uids.append(await append(inbox, mine, b"8", keywords=("six",)))
        with pytest.raises(LimitExceeded):
            await append(inbox, mine, b"9", keywords=tuple(f"k{n}" for n in range(100)))
        many = tuple(f"k{n}" for n in range(100))
        together = await asyncio.gather(
            append(inbox, mine, b"9"),
            append(inbox, mine, b"10"),
            append(inbox, mine, b"never", keywords=many),
            append(inbox, mine, b"11", keywords=("seven",)),
            return_exceptions=True,
        )
        assert isinstance(together.pop(2), LimitExceeded)
        uids += together
        uids += (await inbox.create_messages([new_message(mine, b"12"), new_message(mine, b"13")])).uids
        assert uids == list(range(1, 15)) == await uids_of(inbox) == await uids_of(other)
        status = await other.status()
        assert (status.messages, status.uidnext) == (14, 15)
        named = [
            "one",
            "one",
            "one",
            "three two",
            "three two",
            "four three",
            "five one",
            "four",
            "six",
            "",
            "",
            "seven",
        ]
        found = await flags_of(other)
        named[6] = "one"
        named[0] = "five one"
        assert [" ".join(sorted(found[uid])) for uid in range(1, 13)] == named

    play(tmp_path, test)
