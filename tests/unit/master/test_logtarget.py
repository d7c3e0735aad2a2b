"""Log targets: form, rotation, a reader that stopped, a full disk, syslog and the journal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from master import logtarget
from master.logtarget import StreamTarget, SyslogTarget, open_target
from roost.errors import ConfigError

STAMP = "<time> "


def test_the_form_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = open_target(str(path), timestamp=STAMP, facility="mail", ident="roost")
    target.write("I", "imap(bob): ", "Disconnected")
    target.write("P", "imap: ", "tab\there")
    assert path.read_text() == "<time> imap(bob): Info: Disconnected\n<time> imap: Panic: tab\there\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_reopening(tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = open_target(str(path), timestamp="", facility="mail", ident="roost")
    path.rename(tmp_path / "old")
    target.write("I", "a: ", "1")
    assert target.reopen() is None
    target.write("I", "a: ", "2")
    assert (tmp_path / "old").read_text() == "a: Info: 1\n"
    assert path.read_text() == "a: Info: 2\n"


def test_lines_that_come_together_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    target = logtarget.open_target(str(path), timestamp="", facility="mail", ident="roost")
    writes: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, octets: (writes.append(fd), write(fd, octets))[1])
    for number in range(1000):
        target.write("I", "a: ", f"{number:060d}", more=True)
    target.flush()
    assert path.read_text() == "".join(f"a: Info: {number:060d}\n" for number in range(1000))
    assert len(writes) <= 3
    target.close()


def test_a_reader_that_stops_reading_never_blocks_us_and_the_loss_is_counted() -> None:
    read_fd, write_fd = os.pipe()
    target = StreamTarget(write_fd, "")
    for number in range(30_000):
        target.write("I", "flood: ", f"{number:060d}")
    assert not target.flush()
    os.set_blocking(read_fd, False)
    received = b""
    for _ in range(10_000):
        done = target.flush()
        try:
            received += os.read(read_fd, 1 << 20)
        except BlockingIOError:
            if done:
                break
    lines = received.splitlines()
    assert lines[0].endswith(b"0" * 60)
    assert b"log lines were dropped" in lines[-1]
    dropped = int(lines[-1].split()[2])
    assert len(lines) - 1 + dropped == 30_000
    os.close(read_fd)
    os.close(write_fd)


def test_a_full_disk_is_survived() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    target = StreamTarget(fd, "")
    target.write("E", "a: ", "lost for now")
    assert not target.flush()
    os.close(fd)


def test_the_journal_gets_priorities_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    read_fd, write_fd = os.pipe()
    saved = os.dup(2)
    os.dup2(write_fd, 2)
    try:
        here = os.fstat(2)
        monkeypatch.setenv("JOURNAL_STREAM", f"{here.st_dev}:{here.st_ino}")
        logtarget.stderr_target(STAMP).write("E", "imap: ", "odd")
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    assert os.read(read_fd, 100) == b"<3>imap: Error: odd\n"
    os.close(read_fd)
    os.close(write_fd)


class _Kept:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: str, prefix: str, text: str, *, more: bool = False) -> None:
        self.lines.append(text)

    def flush(self) -> bool:
        return True

    def reopen(self) -> str | None:
        return None

    def close(self) -> None:
        pass


def test_syslog_and_its_fallback(tmp_path: Path) -> None:
    path, kept = str(tmp_path / "log"), _Kept()
    target = SyslogTarget("mail", "roost", kept, path)
    target.write("E", "imap: ", "before syslog")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        target.write("W", "imap: ", "with syslog")
        assert daemon.recv(1000) == b"<20>roost: imap: Warning: with syslog"
    target.write("E", "imap: ", "after syslog")
    assert kept.lines == ["before syslog", "after syslog"]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="log_path"):
        open_target(str(tmp_path / "no" / "log"), timestamp="", facility="mail", ident="roost")
    with pytest.raises(ConfigError, match="syslog_facility"):
        open_target("syslog", timestamp="", facility="nosuch", ident="roost")
