"""Trouble with the disk: full, read-only, damaged. One user's trouble is nobody else's; what was acknowledged stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, unharmed
from kit.instance import USERS, Instance
from kit.mail import deliver, letter
from kit.rawclient import RawClient, lmtp
from kit.wait import wait_for

MIB = 1 << 20
BLOCK = b"x" * 78 + b"\r\n"


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    users = (*USERS, *(f"d{number}" for number in range(1, 20)))
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER, users) as instance:
        yield instance


class Disk:
    """A small file system of its own at ``path``."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs")

    def _mount(self, *arguments: str) -> None:
        done = subprocess.run(["mount", *arguments, str(self.path)], capture_output=True, text=True, timeout=30)
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")

    def set_read_only(self, yes: bool) -> bool:
        """False while somebody has a file open for writing."""
        option = f"remount,{'ro' if yes else 'rw'}"
        return not subprocess.run(["mount", "-o", option, str(self.path)], capture_output=True, timeout=30).returncode

    def fill(self, leave_octets: int = 0) -> None:
        """Take all space but ``leave_octets``."""
        free = os.statvfs(self.path)
        with open(self.path / "filler", "wb") as file:
            file.write(b"\0" * max(free.f_bavail * free.f_frsize - leave_octets, 0))

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def disk_of(roost: Instance) -> Iterator[Callable[[str, int], Disk]]:
    """``disk_of(user, megabytes)``: a disk of the user's own, under the home."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disks: list[Disk] = []

    def make(user: str, megabytes: int) -> Disk:
        disks.append(Disk(roost.home(user), megabytes))
        return disks[-1]

    yield make
    for disk in disks:
        subprocess.run(["umount", "-l", str(disk.path)], check=False, timeout=30)


def append(client: RawClient, number: int, octets: int) -> bytes:
    message = b"Subject: %d\r\n\r\n" % number + BLOCK * (octets // 80)
    client.send(b"A APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    return client.until(b"A")[-1]


def numbers(roost: Instance, user: str) -> list[int]:
    """The numbers of all letters, by UID, as a new session sees them; their texts are whole."""
    with RawClient(roost.imap_port).login(user) as client:
        client.command(b"S SELECT INBOX")
        client.send(b"F UID FETCH 1:* (BODY.PEEK[])\r\n")
        while not re.search(rb"(?:\A|\r\n)F OK [^\r\n]*\r\n\Z", client.buffer[-200:]):
            assert client.more(), client.buffer[-200:]
        found = re.findall(
            rb"UID (\d+) BODY\[\] \{\d+\}\r\nSubject: (?:letter )?(\d+)\r\n\r\n(?:x{78}\r\n)*\)", client.buffer
        )
        uids = [int(uid) for uid, _ in found]
        assert uids == sorted(set(uids))
        assert len(uids) == client.buffer.count(b" FETCH (")
        return [int(number) for _, number in found]


def fresh_processes(roost: Instance) -> None:
    """Reload, and wait until the old processes of the mail services are gone."""
    old = roost.pids("imap") | roost.pids("lmtp")
    assert roost.reload() == ""
    wait_for(lambda: not old & roost.pids(), 20, "the old processes to leave")


class TestFullDisk:
    @pytest.mark.parametrize(("user", "octets"), [("d1", 2_000), ("d2", 100_000), ("d3", 600_000)])
    def test_append(self, roost: Instance, disk_of: Callable[[str, int], Disk], user: str, octets: int) -> None:
        """Rows, rows with overflow, files: a clear NO, what was acknowledged is there, and it goes on with space."""
        disk = disk_of(user, 8)
        with RawClient(roost.imap_port).login(user) as client:
            assert append(client, 0, octets).startswith(b"A OK")
            done = [0]
            disk.fill(2 * octets + 300_000)
            with unharmed(roost):
                refused = 0
                for number in range(1, 2000):
                    answer = append(client, number, octets)
                    if answer.startswith(b"A OK"):
                        done.append(number)
                    else:
                        assert answer.startswith(b"A NO [UNAVAILABLE] "), answer
                        refused += 1
                    if refused > 5:
                        break
                assert refused > 5, "the disk was never full: the test shows nothing"
                client.command(b"S SELECT INBOX")
                for command in (b"FETCH 1:* FLAGS", b"SEARCH ALL", b"STATUS INBOX (UNSEEN)", b'LIST "" *', b"NOOP"):
                    assert client.command(b"B " + command)[-1].startswith(b"B OK"), command
                for command in (b"CREATE full", b"COPY 1 Sent", b"STORE 1 +FLAGS ($Full)", b"MOVE 1 Trash"):
                    assert client.command(b"B " + command)[-1].startswith((b"B OK", b"B NO [UNAVAILABLE]")), command
                client.command(b"B UID COPY 1:* INBOX")
            disk.free()
            assert append(client, 3000, octets).startswith(b"A OK"), "there is space again"
            assert client.command(b"B STORE 1 +FLAGS (\\Flagged)")[-1].startswith(b"B OK")
        found = numbers(roost, user)
        assert sorted(set(found) | {0}) == [*done, 3000]  # letter 0 may have been moved

    @pytest.mark.parametrize(("user", "octets"), [("d4", 2_000), ("d5", 600_000)])
    def test_delivery(self, roost: Instance, disk_of: Callable[[str, int], Disk], user: str, octets: int) -> None:
        """The sender is told to come back (4xx), for the user with the full disk only."""
        disk = disk_of(user, 8)
        assert numbers(roost, user) == []
        disk.fill(octets + 300_000)
        message = b"Subject: %d\r\n\r\n" + BLOCK * (octets // 80)
        taken: list[int] = []
        refused = 0
        with unharmed(roost), lmtp(roost.lmtp_socket) as client:
            for number in range(1000):
                client.say(b"MAIL FROM:<>", b"RCPT TO:<%b@x>" % user.encode(), b"RCPT TO:<u8@x>")
                answer = client.say(b"DATA")[0]
                if not answer.startswith(b"354 "):
                    assert answer.startswith(b"4"), answer
                    refused += 1
                else:
                    client.send(message % number + b".\r\n")
                    first, second = client.reply(), client.reply()
                    assert second.startswith(b"250 "), second
                    if first.startswith(b"250 "):
                        taken.append(number)
                    else:
                        assert first.startswith((b"451 4.", b"452 4.")), first
                        refused += 1
                if refused > 3:
                    break
            assert refused > 3, "the disk was never full: the test shows nothing"
        disk.free()
        with lmtp(roost.lmtp_socket, recipients=(f"{user}@x",)) as client:
            client.send(message % 3000 + b".\r\n")
            assert client.reply().startswith(b"250 ")
        with RawClient(roost.imap_port).login(user) as client:
            client.command(b"S SELECT INBOX")
            rows = client.command(b"F FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            found = [int(row.split()[1]) for row in rows if row.startswith(b"Subject: ")]
        assert found == [*taken, 3000]
        assert not list(disk.path.rglob("*.tmp")), "halves of messages were left behind"

    def test_a_first_login_when_nothing_fits(self, roost: Instance, disk_of: Callable[[str, int], Disk]) -> None:
        disk = disk_of("d6", 1)
        disk.fill()
        with unharmed(roost), RawClient(roost.imap_port) as client:
            client.line()
            assert client.command(b"A LOGIN d6 pw")[-1].startswith(b"A OK")
            for command in (b"SELECT INBOX", b'LIST "" *', b"STATUS INBOX (MESSAGES)", b"CREATE x"):
                assert client.command(b"B " + command)[-1].startswith(b"B NO [UNAVAILABLE] "), command
            disk.free()
            assert client.command(b"C SELECT INBOX")[-1].startswith(b"C OK"), "there is space again"

    @pytest.mark.parametrize(("user", "octets"), [("d7", 50_000), ("d9", 400_000)])
    def test_the_log_names_it_and_does_not_flood(
        self, roost: Instance, disk_of: Callable[[str, int], Disk], user: str, octets: int
    ) -> None:
        disk = disk_of(user, 2)
        with RawClient(roost.imap_port).login(user) as client:
            disk.fill(20_000)
            logged = len(roost.log_text())
            for number in range(200):
                append(client, number, octets)

        def said() -> list[str]:
            lines = roost.log_text()[logged:].splitlines()
            return [line for line in lines if f"/{user}/" in line or f"imap({user})" in line]

        wait_for(lambda: any("full" in line or "No space left" in line for line in said()), 10)
        wait_for(lambda: any(" Disconnected: " in line for line in said()), 10)  # the last line of the session
        assert len(said()) < 20, said()


class TestReadOnly:
    def test_is_said_and_affects_nobody_else(self, roost: Instance, disk_of: Callable[[str, int], Disk]) -> None:
        """Changes are refused with their reason; later everything works again."""
        disk = disk_of("d8", 8)
        with RawClient(roost.imap_port).login("d8") as client:
            for number in range(3):
                assert append(client, number, 2_000).startswith(b"A OK")
        fresh_processes(roost)  # so that nobody has it open
        wait_for(lambda: disk.set_read_only(True), 30, "the file system to be read-only")
        with unharmed(roost):
            with RawClient(roost.imap_port).login("d8") as client:
                selected = client.command(b"S SELECT INBOX")
                if b"* 3 EXISTS" in selected:  # SQLite can read it if the files beside the database are there
                    assert client.command(b"F FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")[-1].startswith(b"F OK")
                    assert client.command(b"F SEARCH SUBJECT 1")[0] == b"* SEARCH 2"
                    for command in (b"STORE 1 +FLAGS (\\Seen)", b"COPY 1 Sent", b"MOVE 1 Sent"):
                        assert client.command(b"A " + command)[-1].startswith(b"A NO ["), command
                else:
                    assert selected[-1].startswith(b"S NO [UNAVAILABLE] "), selected
                for command in (b"CREATE x", b"DELETE Sent", b"RENAME Sent x", b"SUBSCRIBE x"):
                    assert client.command(b"A " + command)[-1].startswith(b"A NO ["), command
                assert append(client, 9, 2_000).startswith(b"A NO [")
            with lmtp(roost.lmtp_socket) as mta:
                mta.say(b"MAIL FROM:<>", b"RCPT TO:<d8@x>")
                answer = mta.say(b"DATA")[0]
                if answer.startswith(b"354 "):
                    mta.send(letter(1) + b".\r\n")
                    answer = mta.reply()
                assert answer.startswith(b"4"), answer
        assert str(disk.path) in roost.log_text(), "the log does not name it"
        assert disk.set_read_only(False)
        with RawClient(roost.imap_port).login("d8") as client:
            assert append(client, 3, 2_000).startswith(b"A OK"), "writable again"
        assert numbers(roost, "d8") == [0, 1, 2, 3]


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scrambled(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(max(path.stat().st_size - 4096, 4096)))


def _another_file(path: Path) -> None:
    path.write_bytes(b"From: somebody\r\n\r\nThis is a letter.\r\n" * 1000)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _another_schema(path: Path) -> None:
    import sqlite3

    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    database.close()


DAMAGES = {
    "d10": _truncated,
    "d11": _scrambled,
    "d12": _another_file,
    "d13": _emptied,
    "d14": _a_folder,
    "d15": _a_loop,
    "d16": _another_schema,
}


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The users of DAMAGES have mail in databases at rest; ``copy-USER`` is a copy of each home."""
    folder = tmp_path_factory.mktemp("sick")
    users = (*USERS, *DAMAGES)
    with Instance(folder, ONE_WORKER, users) as before:
        for user in DAMAGES:
            deliver(before, f"{user}@x", [letter(n, "x" * 78 + "\r\n") for n in range(30)])
    for user in DAMAGES:
        shutil.copytree(before.home(user), folder / f"copy-{user}")
    with Instance(folder, ONE_WORKER, users) as instance:
        yield instance


class TestDamagedStore:
    @pytest.mark.parametrize("user", DAMAGES)
    def test_is_named_and_isolated(self, sick: Instance, user: str) -> None:
        roost = sick
        path = roost.home(user) / "store.db"
        DAMAGES[user](path)
        logged = len(roost.log_text())
        with unharmed(roost):
            for _ in range(5):
                with RawClient(roost.imap_port) as client:
                    client.line()
                    answers = [client.command(b"A LOGIN %b pw" % user.encode())[-1]]
                    if answers[0].startswith(b"A OK"):
                        for command in (
                            b"SELECT INBOX",
                            b"FETCH 1:* (ENVELOPE BODY.PEEK[])",
                            b"STATUS Sent (MESSAGES)",
                        ):
                            client.send(b"A " + command + b"\r\n")
                            try:
                                while not (line := client.line()).startswith(b"A "):
                                    pass
                            except EOFError:
                                break  # in the middle of a literal only the connection can end
                            answers.append(line)
                    assert any(b" NO [" in answer for answer in answers), answers
                    assert not any(b"SERVERBUG" in answer for answer in answers), answers
            with lmtp(roost.lmtp_socket) as mta:
                mta.say(b"MAIL FROM:<>", b"RCPT TO:<%b@x>" % user.encode())
                answer = mta.say(b"DATA")[0]
                if answer.startswith(b"354 "):
                    mta.send(letter(1) + b".\r\n")
                    answer = mta.reply()
                assert answer.startswith((b"451 4.", b"250 ")), answer
        wait_for(lambda: str(path) in roost.log_text()[logged:], 10, "the log to name the file")
        said = [line for line in roost.log_text()[logged:].splitlines() if str(path) in line]
        assert len(said) <= 8, said

    def test_is_well_again_with_a_good_copy(self, sick: Instance) -> None:
        for user in DAMAGES:
            shutil.rmtree(sick.home(user))
            shutil.copytree(sick.folder / f"copy-{user}", sick.home(user))
        fresh_processes(sick)
        for user in DAMAGES:
            with RawClient(sick.imap_port).login(user) as client:
                assert any(b"EXISTS" in line for line in client.command(b"S SELECT INBOX"))
                assert client.command(b"F FETCH 1:* (FLAGS ENVELOPE)")[-1].startswith(b"F OK")

    def test_a_lost_or_short_file_of_a_large_letter(self, roost: Instance) -> None:
        """That letter only; its neighbours are read."""
        big = letter(1, "x" * 78 + "\r\n") + b"y" * 400_000 + b"\r\n"
        deliver(roost, "d17@x", [letter(0), big, letter(2), big, letter(3)])
        files = sorted(path for path in (roost.home("d17") / "blobs").rglob("*") if path.is_file())
        assert len(files) == 2
        files[0].unlink()
        os.truncate(files[1], 1000)
        with unharmed(roost), RawClient(roost.imap_port).login("d17") as client:
            client.command(b"S SELECT INBOX")
            for number in (1, 3, 5):
                assert client.command(b"A FETCH %d BODY.PEEK[]" % number)[-1].startswith(b"A OK")
            for number in (2, 4):
                with RawClient(roost.imap_port).login("d17") as other:
                    other.command(b"S SELECT INBOX")
                    said = other.talk(b"A FETCH %d BODY.PEEK[]\r\n" % number)
                    assert b"\r\nA OK" not in said
                    assert b"SERVERBUG" not in said
            assert client.command(b"A FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)")[-1].startswith(b"A OK")
            assert client.command(b"A UID STORE 1:* +FLAGS (\\Deleted)")[-1].startswith(b"A OK")
            assert client.command(b"A EXPUNGE")[-1].startswith(b"A OK"), "damaged letters can be removed"
