"""The loop: order, timers, errors, descriptors that vanish in the middle of a turn."""

from __future__ import annotations

import os

from master.loop import Loop


def test_timers_run_in_order_and_cancelled_ones_do_not() -> None:
    seen: list[int] = []
    loop = Loop(lambda: None)
    now = loop.now()
    loop.at(now + 0.002, lambda: seen.append(2))
    loop.at(now + 0.001, lambda: seen.append(1))
    loop.at(now + 0.0015, lambda: seen.append(99)).cancel()
    loop.at(now + 0.003, loop.stop)
    loop.run()
    assert seen == [1, 2]
    loop.close()


def test_an_exception_is_reported_and_the_loop_goes_on() -> None:
    errors: list[str] = []

    def fail() -> None:
        raise RuntimeError

    loop = Loop(lambda: errors.append("error"))
    loop.after(0, fail)
    loop.after(0.001, loop.stop)
    loop.run()
    assert errors == ["error"]
    loop.close()


def test_a_descriptor_forgotten_by_a_callback_of_the_same_turn_is_not_called() -> None:
    loop = Loop(lambda: None)
    pipes = [os.pipe() for _ in range(2)]
    seen: list[int] = []

    def take(own: int, other: int) -> None:
        seen.append(own)
        loop.forget(other)

    first, second = pipes[0][0], pipes[1][0]
    loop.on_readable(first, lambda: take(first, second))
    loop.on_readable(second, lambda: take(second, first))
    for _, write_fd in pipes:
        os.write(write_fd, b"x")
    loop.turn(1.0)
    assert len(seen) == 1
    loop.forget(first)
    loop.forget(second)
    loop.forget(-1)
    for pair in pipes:
        for fd in pair:
            os.close(fd)
    loop.close()


def test_after_turn_runs_first_of_all() -> None:
    loop = Loop(lambda: None)
    loop.after_turn = loop.stop
    loop.run()
    loop.close()
