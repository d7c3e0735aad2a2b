"""Holding info lines back for a moment: order kept, trouble never late, nothing lost at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from roost.events.log import HOLD_OCTETS, HOLD_SECS, PIPE_BUF_OCTETS, UNFORMED_OCTETS, Log, Sink


class Pipe:
    """A sink on a pipe, and the timers it asked for."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.sink = Sink(self.write_fd, framed=True, debug=True)
        self.log = Log("x: ", self.sink)
        self.timers: list[Callable[[], None]] = []
        self.sink.hold(self._later)

    def _later(self, secs: float, fn: Callable[[], None]) -> None:
        assert secs == HOLD_SECS
        self.timers.append(fn)

    def fire(self) -> None:
        timers, self.timers = self.timers, []
        for fn in timers:
            fn()

    def read(self) -> list[str]:
        """Texts written since the last time."""
        try:
            data = os.read(self.read_fd, 1 << 20)
        except BlockingIOError:
            return []
        return [line[5:].decode() for line in data.split(b"\n")[:-1]]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.read_fd)
    os.close(made.write_fd)


def test_info_and_debug_wait_for_the_timer(pipe: Pipe) -> None:
    pipe.log.info("one")
    pipe.log.debug("two")
    assert pipe.read() == []
    assert len(pipe.timers) == 1
    pipe.fire()
    assert pipe.read() == ["one", "two"]
    pipe.log.info("three")
    pipe.fire()
    assert pipe.read() == ["three"]


def test_trouble_takes_what_was_held_along(pipe: Pipe) -> None:
    pipe.log.info("before")
    pipe.log.warning("odd")
    assert pipe.read() == ["before", "odd"]
    pipe.log.info("again")
    pipe.log.exception("bug", exc=ValueError("v"))
    assert pipe.read() == ["again", "bug", "ValueError: v"]
    pipe.fire()
    assert pipe.read() == []


def test_no_more_than_one_write_is_held(pipe: Pipe) -> None:
    for _ in range(HOLD_OCTETS // 1000 + 1):
        pipe.log.info("y" * 1000)
    assert len(pipe.read()) >= PIPE_BUF_OCTETS // 1010
    pipe.fire()


def test_a_held_line_is_formed_when_it_leaves(pipe: Pipe) -> None:
    formed: list[int] = []

    def form(number: int) -> str:
        formed.append(number)
        return f"number {number}\r"

    pipe.log.info("before")
    pipe.log.info_of(form, 1)
    assert formed == [] and pipe.read() == []
    pipe.log.warning("odd")
    assert formed == [1]
    assert pipe.read() == ["before", "number 1\\x0d", "odd"]
    pipe.log.info_of(form, 2)
    pipe.sink.release()
    pipe.log.info_of(form, 3)
    assert pipe.read() == ["number 2\\x0d", "number 3\\x0d"]
    pipe.fire()


def test_unformed_lines_are_not_held_without_end(pipe: Pipe) -> None:
    for number in range(HOLD_OCTETS // UNFORMED_OCTETS + 1):
        pipe.log.info_of(str, number)
    assert pipe.read() == [str(number) for number in range(HOLD_OCTETS // UNFORMED_OCTETS + 1)]
    pipe.fire()


def test_a_line_that_cannot_be_formed_costs_no_other(pipe: Pipe) -> None:
    pipe.log.info("before")
    pipe.log.info_of(lambda number: str(1 // number), 0)
    pipe.log.info("after")
    pipe.fire()
    first, second, third = pipe.read()
    assert (first, third) == ("before", "after")
    assert second.startswith("A log line could not be formed: ZeroDivisionError")


def test_release_writes_the_rest_and_ends_it(pipe: Pipe) -> None:
    pipe.log.info("last")
    pipe.sink.release()
    assert pipe.read() == ["last"]
    pipe.log.info("now")
    assert pipe.read() == ["now"]
    pipe.fire()
    assert pipe.read() == []


def test_other_threads_write_at_once(pipe: Pipe) -> None:
    pipe.log.info("held")
    thread = threading.Thread(target=lambda: (pipe.log.info("thread"), pipe.log.error("thread too")))
    thread.start()
    thread.join()
    assert pipe.read() == ["thread", "thread too"]
    pipe.fire()
    assert pipe.read() == ["held"]
