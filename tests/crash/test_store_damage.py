"""Full disk, damaged files, a folder that cannot be written: named, bounded to one user, nothing acknowledged lost."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from crash.storm import body_of, digest, open_store, open_user, perform, read_state

from roost.errors import Corrupt, ReadOnly, Unavailable
from roost.storage.api import Backend, Flags, FlagsOp, User
from roost.util.ranges import Ranges

Test = Callable[[Backend, list[str]], Awaitable[None]]


def play(folder: Path, test: Test) -> list[str]:
    """Run with a started store; what it logged."""
    log: list[str] = []

    async def run() -> None:
        backend = open_store(folder, log)
        await backend.start()
        try:
            await asyncio.wait_for(test(backend, log), 60)
        finally:
            await backend.aclose()

    asyncio.run(run())
    return log


async def append(user: User, *numbers: int) -> list[int]:
    operation = {"do": "append", "box": "INBOX", "numbers": list(numbers)}
    return (await perform(user, await user.get_mailbox("INBOX"), operation))[0]


def some_mail(folder: Path, count: int = 30) -> None:
    async def fill(backend: Backend, log: list[str]) -> None:
        for name in ("u", "other"):
            user = await open_user(backend, folder, name)
            for number in range(1, count + 1):
                await append(user, number)

    play(folder, fill)


async def expect(folder: Path, user: User, count: int) -> None:
    boxes, uidnext, _ = await read_state(user)
    assert {uid: text for uid, (text, _) in boxes["INBOX"].items()} == {
        n: digest(body_of(n)) for n in range(1, count + 1)
    }
    assert uidnext["INBOX"] >= count + 1


# -- full disk ------------------------------------------------------------------------------------------------------


async def fill_up(folder: Path, user: User) -> int:
    """Append until the disk is full; how many messages were acknowledged."""
    stored = 0
    while stored < 20_000:
        try:
            await append(user, stored + 1)
        except Unavailable as exc:
            # The log, or a large message that arrives: whichever wants room first.
            assert exc.client_text in ("The disk is full", "Cannot store the message now"), exc
            return stored
        stored += 1
    raise AssertionError("the disk is never full")


async def full_disk(folder: Path, user: User, make_room: Callable[[], None]) -> None:
    stored = await fill_up(folder, user)
    assert stored > 10
    for _ in range(3):
        with pytest.raises(Unavailable):
            await append(user, 4 * 20_000)  # a large one: a file
    await expect(folder, user, stored)
    assert not list((folder / "u").rglob("*.tmp"))
    make_room()
    assert (await append(user, stored + 1))[0] >= stored + 1
    boxes, _, _ = await read_state(user)
    assert len(boxes["INBOX"]) == stored + 1
    inbox = await user.get_mailbox("INBOX")
    assert (await inbox.update_messages_flags(Ranges.of(1), FlagsOp.ADD, Flags(1))).modseq


def test_full_disk_by_a_limit(tmp_path: Path) -> None:
    """The system refuses to let a file grow: the same to the store as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def run(backend: Backend, log: list[str]) -> None:
        user = await open_user(backend, tmp_path)
        await append(user, 1, 2, 3)
        inbox = await user.get_mailbox("INBOX")
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        stored = 3
        try:
            with pytest.raises(Unavailable):
                while stored < 10_000:
                    await append(user, stored + 1)
                    stored += 1
            with pytest.raises(Unavailable):
                for n in range(10_000):
                    how = FlagsOp.ADD if n % 2 else FlagsOp.REMOVE
                    await inbox.update_messages_flags(Ranges.of(1), how, Flags(2))
            await expect(tmp_path, user, stored)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (await append(user, stored + 1))[0] == stored + 1
        await expect(tmp_path, user, stored + 1)

    log = play(tmp_path, run)
    assert any(line.startswith("warning") for line in log) and len(log) < 10


def test_full_disk_for_real(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        filler = disk / "filler"
        filler.write_bytes(b"x" * 600_000)

        async def run(backend: Backend, log: list[str]) -> None:
            await full_disk(disk, await open_user(backend, disk), filler.unlink)
            with pytest.raises(Unavailable):
                filler.write_bytes(b"")
                try:
                    with filler.open("ab") as file:
                        while True:
                            file.write(b"x" * 4096)
                            file.flush()
                except OSError:
                    pass
                await (await open_user(backend, disk, "newcomer")).list_mailboxes()
            filler.unlink()
            assert len(await (await open_user(backend, disk, "newcomer")).list_mailboxes()) == 6

        play(disk, run)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# -- damage ---------------------------------------------------------------------------------------------------------


def truncate(path: Path, keep: int) -> None:
    with path.open("r+b") as file:
        file.truncate(keep)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: truncate(path, 0),
    "half": lambda path: truncate(path, path.stat().st_size // 2),
    "not whole pages": lambda path: truncate(path, 5000),
    "no database": lambda path: path.write_bytes(b"Hello, I am not a database. " * 400),
    "header": lambda path: overwrite(path, 0, b"\0" * 100),
    "garbage": lambda path: overwrite(path, 4096, b"\xa5" * 4096 * 12),
    "no schema": lambda path: overwrite(path, 100, b"\r" + b"\0" * 3996),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_hits_nobody_else(tmp_path: Path, damage: str) -> None:
    some_mail(tmp_path)
    path = tmp_path / "u" / "store.db"
    assert not path.with_name("store.db-wal").exists(), "closed cleanly"
    DAMAGES[damage](path)
    before = path.read_bytes()

    async def run(backend: Backend, log: list[str]) -> None:
        for _ in range(5):
            with pytest.raises((Corrupt, Unavailable)) as caught:
                user = await open_user(backend, tmp_path)
                await user.list_mailboxes()
                await read_state(user)
                await append(user, 77)
            assert isinstance(caught.value, Corrupt)
            assert "/" not in caught.value.client_text and str(path) in caught.value.detail
        other = await open_user(backend, tmp_path, "other")
        await expect(tmp_path, other, 30)
        await append(other, 31)

    log = play(tmp_path, run)
    errors = [line for line in log if line.startswith("error")]
    assert len(errors) == 1 and str(path) in errors[0]
    assert path.read_bytes() == before, "evidence is not touched"


def test_a_torn_wal_keeps_what_was_synced(tmp_path: Path) -> None:
    """Garbage after the last commit, as a power cut leaves it, is not looked at."""
    some_mail(tmp_path, 5)
    code = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom crash.storm import *\n"
        "async def main():\n"
        "    folder = Path(sys.argv[1])\n    backend = open_store(folder)\n    await backend.start()\n"
        "    user = await open_user(backend, folder)\n    box = await user.get_mailbox('INBOX')\n"
        "    for n in range(6, 21):\n"
        "        await perform(user, box, {'do': 'append', 'box': 'INBOX', 'numbers': [n]})\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=False).returncode == 9
    wal = tmp_path / "u" / "store.db-wal"
    octets = wal.read_bytes()
    assert len(octets) > 32
    wal.write_bytes(octets + octets[-2000:] + b"\xa5" * 3000)

    async def run(backend: Backend, log: list[str]) -> None:
        await expect(tmp_path, await open_user(backend, tmp_path), 20)

    assert not play(tmp_path, run)


def test_a_damaged_snapshot_is_made_again(tmp_path: Path) -> None:
    """It is derived: one line in the log, every message there."""
    some_mail(tmp_path)

    async def fold(backend: Backend, log: list[str]) -> None:
        inbox = await (await open_user(backend, tmp_path)).get_mailbox("INBOX")
        await inbox.update_messages_flags(Ranges.span(3, 9), FlagsOp.ADD, Flags(1))
        await inbox.check()

    play(tmp_path, fold)
    subprocess.run(
        [sys.executable, "-c", "import apsw, sys; apsw.Connection(sys.argv[1]).execute("
         "'UPDATE snapshot SET data = zeroblob(length(data))')", str(tmp_path / "u" / "store.db")], check=True
    )  # fmt: skip

    async def run(backend: Backend, log: list[str]) -> None:
        user = await open_user(backend, tmp_path)
        await expect(tmp_path, user, 30)
        boxes, _, _ = await read_state(user)
        assert {uid for uid, (_, flags) in boxes["INBOX"].items() if "\\Seen" in flags} == set(range(3, 10))

    log = play(tmp_path, run)
    assert len(log) == 1 and "snapshot" in log[0]


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    some_mail(tmp_path, 4)
    (blob,) = [path for path in (tmp_path / "u" / "blobs").rglob("*") if path.is_file()]
    blob.unlink()

    async def run(backend: Backend, log: list[str]) -> None:
        user = await open_user(backend, tmp_path)
        with pytest.raises(Corrupt) as caught:
            await read_state(user)
        assert blob.name in caught.value.detail

    play(tmp_path, run)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    some_mail(tmp_path, 1)
    subprocess.run(
        [sys.executable, "-c", "import apsw, sys; apsw.Connection(sys.argv[1]).execute("
         "\"UPDATE meta SET value = 99 WHERE key = 'schema'\")", str(tmp_path / "u" / "store.db")], check=True
    )  # fmt: skip

    async def run(backend: Backend, log: list[str]) -> None:
        with pytest.raises(Corrupt, match="newer version"):
            await (await open_user(backend, tmp_path)).list_mailboxes()

    play(tmp_path, run)


# -- a folder that cannot be written --------------------------------------------------------------------------------


def as_nobody(test: Callable[[], None]) -> None:
    """Run in a child that has no special rights (root may write anywhere)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            test()
        except BaseException as exc:
            os.write(writer, repr(exc).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        problem = pipe.read().decode()
    os.waitpid(child, 0)
    assert not problem, problem


def test_read_only_folder() -> None:
    """Changes are refused, nothing is lost, and all goes on when it can be written again."""
    with tempfile.TemporaryDirectory(prefix="roost-read-only-") as name:
        top = Path(name)
        top.chmod(0o755)
        some_mail(top, 8)
        folder = top / "u"
        before = (folder / "store.db").read_bytes()

        def lock(locked: bool) -> None:
            for each in [top, folder, *folder.rglob("*")]:
                each.chmod((0o555 if each.is_dir() else 0o444) if locked else (0o755 if each.is_dir() else 0o644))

        async def refused(backend: Backend, log: list[str]) -> None:
            for _ in range(2):
                user = await open_user(backend, top)
                with pytest.raises((ReadOnly, Unavailable)):
                    await user.create_mailbox("X")
                with pytest.raises((ReadOnly, Unavailable)):
                    await append(user, 9)
            with pytest.raises((ReadOnly, Unavailable)):
                await (await open_user(backend, top, "newcomer")).list_mailboxes()

        lock(True)
        try:
            as_nobody(lambda: play(top, refused) and None)
            assert (folder / "store.db").read_bytes() == before
        finally:
            lock(False)

        async def again(backend: Backend, log: list[str]) -> None:
            user = await open_user(backend, top)
            await expect(top, user, 8)
            assert await append(user, 9) == [9]

        assert not play(top, again)
