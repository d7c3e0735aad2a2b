"""Status records: at once from and to 0, else at most once a second, and again when the pipe was full."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from kit.wait import nothing_happens
from kit.worker import run, until

from roost.proc.contract import RETIRED, STATUS
from roost.worker import status as module
from roost.worker.status import StatusReporter


@pytest.fixture(autouse=True)
def _no_alarm_left() -> object:
    yield
    signal.alarm(0)


class Pipe:
    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.seen: list[int] = []

    def counts(self) -> list[int]:
        try:
            while data := os.read(self.read_fd, STATUS.size * 100):
                self.seen += [count for _pid, _generation, count in STATUS.iter_unpack(data)]
        except BlockingIOError:
            pass
        return self.seen


def test_important_changes_leave_at_once_others_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COALESCE_SECS", 0.05)

    async def main() -> None:
        pipe = Pipe()
        count = 5
        reporter = StatusReporter(asyncio.get_running_loop(), pipe.write_fd, 1, lambda: count)
        reporter.changed()
        assert pipe.counts() == []  # not READY yet
        reporter.start()
        assert pipe.counts() == [5]
        for count in (4, 3, 2, 3):  # noqa: B007 - read by the reporter
            reporter.changed()
        assert pipe.counts() == [5]
        await until(lambda: pipe.counts() == [5, 3])
        count = 0
        reporter.changed()
        assert pipe.counts() == [5, 3, 0]
        count = 1
        reporter.changed()
        assert pipe.counts() == [5, 3, 0, 1]
        count = RETIRED
        reporter.changed()
        assert pipe.counts()[-1] == RETIRED
        reporter.insist()
        assert pipe.counts()[-2:] == [RETIRED] * 2
        reporter.close()
        reporter.insist()
        assert len(pipe.counts()) == 6

    run("uvloop", main)


def test_a_full_pipe_is_tried_again_for_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECS", 0.01)

    async def main() -> None:
        pipe = Pipe()
        os.set_blocking(pipe.write_fd, False)
        junk = STATUS.pack(1, 1, 9)
        try:
            while True:
                os.write(pipe.write_fd, junk)
        except BlockingIOError:
            pass
        reporter = StatusReporter(asyncio.get_running_loop(), pipe.write_fd, 1, lambda: 3)
        reporter.start()
        await nothing_happens()
        assert set(pipe.counts()) == {9}
        await until(lambda: pipe.counts()[-1] == 3)
        reporter.close()

    run("uvloop", main)


def test_heartbeat_and_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECS", 0.02)

    async def main() -> None:
        pipe = Pipe()
        beats: list[int] = []
        reporter = StatusReporter(asyncio.get_running_loop(), pipe.write_fd, 1, lambda: 3)
        reporter.on_beat = lambda: beats.append(1)
        reporter.start()
        await until(lambda: len(pipe.counts()) >= 3 and len(beats) >= 3)
        assert set(pipe.counts()) == {3}
        assert signal.alarm(0) > 0
        reporter.close()

    run("uvloop", main)


def test_a_gone_master_is_not_an_error() -> None:
    async def main() -> None:
        read_fd, write_fd = os.pipe()
        os.close(read_fd)
        reporter = StatusReporter(asyncio.get_running_loop(), write_fd, 1, lambda: 3)
        reporter.start()
        reporter.close()

    run("uvloop", main)
