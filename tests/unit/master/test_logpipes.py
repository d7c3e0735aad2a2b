"""One child's log pipe: the rate, the kept tail, the torn end."""

from __future__ import annotations

import os

from master.loglines import Line
from master.logpipes import LINES_PER_SEC, TAIL_LINES, Journal, LogPipe


class _Target:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def write(self, level: str, prefix: str, text: str, *, more: bool = False) -> None:
        self.lines.append((level, prefix, text))

    def flush(self) -> bool:
        return True

    def reopen(self) -> str | None:
        return "cannot open log file x: no"

    def close(self) -> None:
        pass


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pipe() -> tuple[LogPipe, int, _Target, _Clock]:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    target, clock = _Target(), _Clock()
    return LogPipe(read_fd, "imap", 7, Journal(target), clock), write_fd, target, clock


def test_lines_and_the_end() -> None:
    log, write_fd, target, _ = pipe()
    assert log.read()  # nothing there
    os.write(write_fd, b"\x01Iimap: hello\nTraceback\nMemoryErr")
    assert log.read()
    os.close(write_fd)
    assert not log.read()
    assert [text for _, _, text in target.lines] == ["hello", "Traceback", "MemoryErr"]


def test_a_flood_is_dropped_counted_and_its_tail_kept_for_a_failure() -> None:
    log, write_fd, target, _ = pipe()
    total = LINES_PER_SEC + 1000
    for number in range(total):
        os.write(write_fd, b"line %d\n" % number)
        if number % 1000 == 999:
            log.read()
    assert len(target.lines) == LINES_PER_SEC
    os.write(write_fd, b"RuntimeError: the reason\n")
    log.drain(failed=True)
    texts = [text for _, _, text in target.lines]
    assert texts[-1] == "RuntimeError: the reason"
    assert f"1001 lines were dropped, the last {TAIL_LINES} of them follow" in texts[LINES_PER_SEC]
    assert len(texts) == LINES_PER_SEC + 1 + TAIL_LINES


def test_a_flood_that_ends_well_is_only_counted() -> None:
    log, write_fd, target, clock = pipe()
    os.write(write_fd, b"x\n" * (LINES_PER_SEC + 5))
    log.read()
    clock.now += 1
    os.write(write_fd, b"later\n")
    log.read()
    texts = [text for _, _, text in target.lines[LINES_PER_SEC:]]
    assert len(texts) == 2 and "5 lines were dropped" in texts[0] and texts[1] == "later"
    log.drain(failed=False)
    assert len(target.lines) == LINES_PER_SEC + 2


def test_errors_are_remembered_and_reopening_is_reported() -> None:
    target = _Target()
    journal = Journal(target)
    journal.info("fine")
    journal.write(Line("W", "imap: ", "odd"))
    journal.reopen()
    assert [(row[0], row[3]) for row in journal.recent] == [("W", "odd"), ("E", "cannot open log file x: no")]
    journal.error("two\nlines")
    assert [text for _, _, text in target.lines[-2:]] == ["two", "lines"]


def test_a_pipe_that_ended_is_not_read_again() -> None:
    log, write_fd, target, _clock = pipe()
    os.close(write_fd)
    assert not log.read()
    number = log.fd
    log.close()
    # Somebody else gets the number before the child is reaped.
    other_read, other_write = os.pipe()
    assert number in (other_read, other_write)
    os.write(other_write, b"not a log line\n")
    log.drain(failed=True)
    assert target.lines == []
    os.close(other_read)
    os.close(other_write)
