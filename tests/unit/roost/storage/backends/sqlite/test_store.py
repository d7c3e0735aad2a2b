"""An open store over time: idle, crowded, removed, trimmed, swept; places and names; upgrade and refusal."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from roost.errors import ConfigError, LimitExceeded, RoostError, Unavailable
from roost.storage.api import DELETED, SEEN, BackendContext, ConnInfo, Flags, FlagsOp, Identity, Items, MailboxState
from roost.storage.backends.sqlite import backend as backend_module
from roost.storage.backends.sqlite import connection, schema
from roost.storage.backends.sqlite.backend import SqliteBackend
from roost.storage.backends.sqlite.connection import check_library
from roost.storage.backends.sqlite.watch import Watch, only_one_commit_between
from roost.storage.places import network_filesystem
from roost.testing.backend.harness import append, column, contents, new_message, numbered, peek, uids_of
from roost.util.ranges import Ranges

ALL = Ranges.span(1, 1 << 31)


class Scene:
    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.log: list[str] = []
        self.backend = SqliteBackend(
            BackendContext(settings, lambda update: None, lambda level, text: self.log.append(text))
        )

    async def user(self, name: str = "u") -> Any:
        return await self.backend.open_user(ConnInfo("test"), Identity(name, str(self.folder / name)))

    async def inbox(self, name: str = "u") -> Any:
        return await (await self.user(name)).get_mailbox("INBOX")

    def path(self, name: str = "u") -> Path:
        return self.folder / name / "store.db"


def play(folder: Path, test: Callable[[Scene], Awaitable[None]], **settings: object) -> Scene:
    scene = Scene(folder, **settings)

    async def run() -> None:
        await scene.backend.start()
        try:
            await asyncio.wait_for(test(scene), 30)
        finally:
            await scene.backend.aclose()

    asyncio.run(run())
    return scene


async def until(condition: Callable[[], object]) -> None:
    """Turn by turn, against the deadline of ``play``."""
    while not condition():
        await asyncio.sleep(0)


def open_files(path: Path) -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith(str(path)):
            found.append(target)
    return found


def test_an_idle_store_holds_nothing(tmp_path: Path) -> None:
    """Neither descriptors nor columns; the WAL is gone; a handle goes on when it is used again."""

    async def run(scene: Scene) -> None:
        inbox = await scene.inbox()
        await append(inbox, await scene.user(), numbered(1))
        cursor = (await inbox.select(read_only=False, claim_recent=True)).cursor
        assert open_files(scene.path())
        await until(lambda: not open_files(scene.path()))
        assert not scene.path().with_name("store.db-wal").exists()
        assert scene.backend.cache.octets == 0 and not scene.backend._open
        changes = await inbox.poll(cursor, claim_recent=True)
        assert changes.state is MailboxState.OK and changes.count == 1
        assert await append(inbox, await scene.user(), numbered(2)) == 2

    play(tmp_path, run, store_idle_close_secs=1)


def test_a_resting_store_is_closed_soon(tmp_path: Path) -> None:
    """Also when it has written; a use in between keeps it open; the view goes on from its cursor."""

    async def run(scene: Scene) -> None:
        inbox, other = await scene.inbox(), await scene.inbox()
        await append(inbox, await scene.user(), numbered(1))
        cursor = (await inbox.select(read_only=False, claim_recent=True)).cursor
        await inbox.rest()
        await other.status()
        scene.backend._close_resting()
        assert open_files(scene.path()), "somebody used it after the rest began"
        await inbox.rest()
        await until(lambda: not open_files(scene.path()))
        assert not scene.path().with_name("store.db-wal").exists()
        assert await append(other, await scene.user(), numbered(2)) == 2
        changes = await inbox.poll(cursor, claim_recent=True)
        assert changes.state is MailboxState.OK and changes.new == Ranges.of(2)

    play(tmp_path, run)


def test_open_stores_and_columns_are_bounded(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        boxes = [await scene.inbox(f"u{n}") for n in range(12)]
        for box in boxes:
            await append(box, await scene.user(), numbered(1))
            await box.status()
        assert len(scene.backend._open) <= 3
        assert scene.backend.cache.octets <= 1000
        for n, box in enumerate(boxes):
            assert (await box.status()).messages == 1, n

    play(tmp_path, run, store_cache_users=3, store_cache_octets=1000)


def test_sessions_of_a_user_share_one_store_and_leave_none(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        one, two = await scene.user(), await scene.user()
        assert one.store is two.store
        await one.list_mailboxes()
        gone = weakref.ref(one.store)
        await until(lambda: not scene.backend._open)
        del one, two
        gc.collect()
        assert gone() is None

    play(tmp_path, run, store_idle_close_secs=1)


def test_removed_behind_our_back(tmp_path: Path) -> None:
    """``rm`` of the files is seen; a stale log beside a new database is not applied to it."""

    async def run(scene: Scene) -> None:
        inbox = await scene.inbox()
        await append(inbox, await scene.user(), numbered(1))
        old = (await peek(inbox)).uidvalidity
        scene.path().unlink()
        await until(lambda: not scene.backend._open)
        scene.path().with_name("store.db-wal").write_bytes(b"\x37\x7f\x06\x82" + os.urandom(9000))
        scene.path().with_name("store.db.1.dead.new").write_bytes(b"half")
        fresh = await scene.inbox()
        snapshot = await peek(fresh)
        assert snapshot.count == 0 and snapshot.uidvalidity >= old
        assert not list(scene.path().parent.glob("*.new"))

    play(tmp_path, run, store_idle_close_secs=1)


def test_readable_and_copied_while_in_use(tmp_path: Path) -> None:
    """The file is an ordinary database: other programs read it, and VACUUM INTO makes a backup that opens."""

    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        for n in range(5):
            await append(inbox, user, numbered(n))
        await inbox.update_messages_flags(Ranges.of(2), FlagsOp.ADD, Flags(SEEN))
        with sqlite3.connect(f"file:{scene.path()}?mode=ro", uri=True) as shell:
            assert shell.execute("SELECT count(*) FROM message").fetchone() == (5,)
            rows = shell.execute("SELECT kind, uids FROM journal WHERE mailbox = 1 AND kind < 6").fetchall()
            assert rows == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 2)]
        (scene.folder / "copy").mkdir()
        backup = apsw.Connection(str(scene.path()))
        backup.execute("VACUUM INTO ?", (str(scene.path("copy")),))
        backup.close()
        copied = await scene.inbox("copy")
        assert await contents(copied) == await contents(inbox)
        assert (await peek(copied)).uidvalidity == (await peek(inbox)).uidvalidity

    play(tmp_path, run)


def test_the_journal_is_trimmed(tmp_path: Path) -> None:
    """After the time it is kept, when a snapshot has it; an older cursor is TOO_OLD, never a wrong answer."""

    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        view = await peek(inbox)
        for n in range(10):
            await append(inbox, user, numbered(n))
        await inbox.update_messages_flags(Ranges.of(3), FlagsOp.ADD, Flags(DELETED, ("Key",)))
        await inbox.expunge()
        later = await peek(inbox)
        store = user.store
        await store.submit(lambda tx: tx.execute("UPDATE journal SET at = 1").fetchall())
        await inbox.check()
        await store.submit(lambda tx: None)
        assert store.query("SELECT count(*) FROM journal")[0][0] <= 2
        newest = store.query("SELECT max(modseq) FROM journal")[0][0]
        box = store.box(inbox._number)
        scene.backend.cache.remove(box)
        assert (await inbox.poll(view.cursor, claim_recent=False)).state is MailboxState.TOO_OLD
        assert (await inbox.poll(later.cursor, claim_recent=False)).state is MailboxState.OK
        assert await uids_of(inbox) == [1, 2, *range(4, 11)]
        uid = await append(inbox, user, numbered(11))
        assert uid == 11 and (await peek(inbox)).highest_modseq > newest
        assert (await inbox.poll(later.cursor, claim_recent=False)).new == Ranges.of(11)

    play(tmp_path, run)


def test_bodies_of_removed_messages_are_freed(tmp_path: Path) -> None:
    """Rows and files, but not while a copy has them; files that a crash left are swept when they are old."""

    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        for n in range(4):
            await append(inbox, user, b"x" * 500 + b"%d" % n)
        await append(inbox, user, b"small")
        await inbox.copy_messages(Ranges.of(1, 5), "Sent")
        await inbox.update_messages_flags(ALL, FlagsOp.ADD, Flags(DELETED))
        await inbox.expunge()
        store = user.store
        orphan = scene.path().parent / "blobs" / "ab" / ("ab" + "0" * 30)
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"left by a crash")
        young = orphan.with_name("ab" + "1" * 30)
        young.write_bytes(b"being written")
        other = orphan.with_name("README")
        other.write_bytes(b"not ours")
        for each in (orphan, other):
            os.utime(each, (1, 1))
        store.care.derive_now()
        store.care.wind_down()
        await store.submit(lambda tx: None)
        await until(lambda: store.idle)
        assert store.query("SELECT count(*) FROM garbage") == [(0,)]
        assert store.query("SELECT count(*) FROM body") == [(1,)] and store.query("SELECT count(*) FROM blob") == [(1,)]
        assert store.query("SELECT count(*) FROM cache") == [(2,)]
        files = {path.name for path in (scene.path().parent / "blobs").rglob("*") if path.is_file()}
        named = {row[0].split("/")[1] for row in store.query("SELECT name FROM blob")}
        assert files == named | {young.name, "README"}
        sent = await user.get_mailbox("Sent")
        assert [data[:1] for data in (await contents(sent)).values()] == [b"x", b"s"]

    scene = play(tmp_path, run, store_body_inline_max=100)
    assert any("removed 1 files" in line for line in scene.log)


def test_new_messages_are_parsed_once_in_the_background(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        for n in range(3):
            await append(inbox, user, numbered(n))
        store = user.store
        assert store.query("SELECT count(*) FROM cache") == [(0,)]
        await until(lambda: store.query("SELECT count(*) FROM cache") == [(3,)])
        store.query("DELETE FROM cache")
        assert len(await column(inbox, Items.ENVELOPE, "envelopes")) == 3
        assert store.query("SELECT count(*) FROM cache") == [(3,)]

    play(tmp_path, run)


def test_waiting_jobs_are_committed_together_and_fail_alone(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        gone = await user.get_mailbox("Trash")
        await user.delete_mailbox("Trash")
        release = threading.Event()
        commits = []
        store = user.store
        blocker = asyncio.ensure_future(store.submit(lambda tx: release.wait(10)))
        jobs = []
        for n in range(20):
            box, keywords = (gone, ()) if n == 7 else (inbox, tuple(f"k{i}" for i in range(40 * (n % 2))))
            jobs.append(asyncio.ensure_future(box.create_messages([new_message(user, numbered(n), 0, keywords)])))
        cancelled = jobs[12]
        await asyncio.sleep(0)
        store.writer._on_commit = lambda *args: commits.append(args) or 0
        if store.writer.connection is not None:
            store.writer.connection.set_wal_hook(store.writer._on_commit)
        cancelled.cancel()
        await until(cancelled.done)
        release.set()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        await blocker
        assert isinstance(results[7], RoostError) and isinstance(results[12], asyncio.CancelledError)
        stored = [r for r in results if not isinstance(r, BaseException)]
        assert len(stored) == 18 and sorted(r.uids.first for r in stored) == list(range(1, 19))
        assert len(commits) <= 3, "the blocker's commit and one for all that waited"
        assert await uids_of(inbox) == list(range(1, 19))

    play(tmp_path, run)


def test_the_lock_held_by_another_process_blocks_nobody(tmp_path: Path) -> None:
    """A flag change that finds the lock taken waits on the writer's thread, while the loop serves others."""

    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        await append(inbox, user, numbered(1))
        other = apsw.Connection(str(scene.path()))
        other.execute("BEGIN IMMEDIATE")
        change = asyncio.ensure_future(inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(SEEN)))
        claim = asyncio.ensure_future(inbox.select(read_only=False, claim_recent=True))
        for _ in range(50):
            assert (await inbox.status()).messages == 1
            await asyncio.sleep(0)
        assert not change.done() and not claim.done()
        other.execute("COMMIT")
        other.close()
        assert list((await change).changed_flags) == [SEEN]
        assert (await claim).recent == Ranges.of(1)

    play(tmp_path, run)


def test_names_never_leave_their_folder(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        for name in ("../evil", "a/b", "%{home}", ".hidden", "x\x00y", "bob@example.org"):
            user = await scene.backend.open_user(ConnInfo("t"), Identity(name))
            await user.create_mailbox("../../up")
            await append(await user.get_mailbox("../../up"), user, b"x")
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("store.db"))
        assert len(found) == 6 and all(path.startswith("mail/") and path.count("/") == 2 for path in found)
        with pytest.raises(Unavailable):
            await Scene(tmp_path).backend.open_user(ConnInfo("t"), Identity("nohome"))
        with pytest.raises(Unavailable):
            await Scene(tmp_path).backend.open_user(ConnInfo("t"), Identity("u", "relative/home"))

    play(tmp_path, run, mail_path=f"{tmp_path}/mail/%{{user}}")


def test_uids_run_out(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        user, inbox = await scene.user(), await scene.inbox()
        last = (1 << 32) - 3
        await user.store.submit(lambda tx: tx.execute("UPDATE mailbox SET uidnext = ?", (last,)).fetchall())
        assert await append(inbox, user, numbered(1)) == last
        assert await append(inbox, user, numbered(2)) == last + 1
        with pytest.raises(LimitExceeded):
            await append(inbox, user, numbered(3))
        with pytest.raises(LimitExceeded):
            await inbox.copy_messages(ALL | Ranges.of(last), "INBOX")
        assert await uids_of(inbox) == [last, last + 1]

    play(tmp_path, run)


def test_schema_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction from the version found to ours; a failing step leaves the old one."""

    async def fill(scene: Scene) -> None:
        await append(await scene.inbox(), await scene.user(), numbered(1))

    path = play(tmp_path, fill).path()
    monkeypatch.setattr(schema, "VERSION", 3)
    monkeypatch.setattr(schema, "UPGRADES", {1: ["CREATE TABLE one (a)"], 2: ["CREATE TABLE one (a)"]})
    opened = connection.open_connection(str(path), "full", for_writing=True)
    with pytest.raises(apsw.SQLError):
        schema.check_schema(opened, str(path))
    assert not opened.in_transaction and not opened.table_exists("main", "one")
    monkeypatch.setattr(schema, "UPGRADES", {1: ["CREATE TABLE one (a)"], 2: ["CREATE TABLE two (a)"]})
    schema.check_schema(opened, str(path))
    schema.check_schema(opened, str(path))
    assert opened.table_exists("main", "two")
    assert opened.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (3,)
    opened.close()


def test_an_old_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_library()
    for version in ("3.51.2", "3.40.1"):
        monkeypatch.setattr(apsw, "sqlite_lib_version", lambda version=version: version)
        with pytest.raises(ConfigError, match=f"SQLite {version} can lose mail"):
            check_library()


def test_network_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path.stat().st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /mail rw,noatime shared:1 - nfs4 server:/mail rw\n"
    assert network_filesystem(device, "1 2 99:99 / / rw - ext4 /dev/vda rw\nshort\n" + line) == "nfs4"
    assert network_filesystem(device, line.replace("nfs4", "ext4")) is None
    monkeypatch.setattr(backend_module, "network_filesystem", lambda device: "nfs4")

    async def refused(scene: Scene) -> None:
        with pytest.raises(Unavailable) as caught:
            await scene.inbox()
        assert "nfs4" in caught.value.detail and "store_allow_network" in caught.value.detail

    async def forced(scene: Scene) -> None:
        await scene.inbox()

    play(tmp_path, refused)
    assert not (tmp_path / "u").exists()
    play(tmp_path, forced, store_allow_network=True)


def test_watch(tmp_path: Path) -> None:
    """Sees every commit of every connection, and a commit that is not alone."""
    path = str(tmp_path / "x.db")
    one, two = apsw.Connection(path), apsw.Connection(path)
    one.execute("PRAGMA journal_mode=wal")
    one.execute("CREATE TABLE t (a)")
    watch, twin = Watch(path), Watch(path)
    heads = [watch.head()]
    for n, each in enumerate((one, two, one)):
        each.execute("INSERT INTO t VALUES (?)", (n,))
        heads.append(watch.head())
    assert len(set(heads)) == 4 and watch.head() == twin.head() == heads[-1]
    assert only_one_commit_between(heads[0], heads[1]) and not only_one_commit_between(heads[0], heads[2])
    two.execute("SELECT * FROM t").fetchall()
    assert watch.head() == heads[-1]
    one.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    before = watch.head()
    two.execute("INSERT INTO t VALUES (9)")
    assert watch.head() != before and only_one_commit_between(before, watch.head())
    one.close()
    two.close()
    watch.close()
    assert twin.head()
    twin.close()
