"""The worker's watchdog: a thread that ends the process when a request holds it up.

Stuck is: the loop has not turned for ``stuck_secs`` (a driver blocks it, or loops without end); a call in a thread has
used ``stuck_secs`` of CPU; or such a call is not back after ``call_secs`` (nothing can end it but the process's end).
The watchdog names the request in the log, answers it if it can, and kills this process (SIGKILL: nothing in here can be
trusted to run). The master starts another, and the auth room asks again what else was at work.

Code that never gives the interpreter's lock back would stop this thread too; so a second watchdog, in C
(``faulthandler``), writes all stacks to the log and ends the process some seconds later. While nothing is asked neither
of them runs. Stacks name functions and lines, never values.
"""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from roost.events.log import SINK, Log
from roost.worker.offload import Offload

T = TypeVar("T")

GRACE_SECS = 2.0  # the second watchdog waits so much longer
LOOKS_PER_LIMIT = 5  # how often a limit is looked at while it runs
STACK_LINES = 6


class Work(Protocol):
    """A request at work, as the watchdog sees it."""

    @property
    def label(self) -> str:
        """For the log: which command about whom."""
        ...

    def give_up(self, reason: str) -> None:
        """Answer with an internal failure, from another thread, while the loop may stand still. Never raises."""
        ...


current: contextvars.ContextVar[Work | None] = contextvars.ContextVar("current", default=None)
"""The request on whose behalf the code runs."""


@dataclass(slots=True, eq=False)
class _Call:
    """A call in a thread."""

    work: Work | None
    thread: int
    clock: int
    since: float
    cpu_at_start: float


class Watchdog:
    """``enter`` and ``leave`` around each request, ``offload`` for what drivers run in threads."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: Log, *, stuck_secs: float, call_secs: float, end: bool = True
    ) -> None:
        self._loop = loop
        self._log = log
        self._stuck_secs = stuck_secs
        self._call_secs = call_secs
        self._end = end  # False: tests
        self._works: dict[Work, asyncio.Task[object] | None] = {}
        self._calls: set[_Call] = set()
        self._loop_thread = threading.get_ident()
        self._turned = time.monotonic()  # when the loop turned last
        self._timer: asyncio.TimerHandle | None = None
        self._busy = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.fired = ""  # what it said last

    # --- on the loop

    def enter(self, work: Work, task: asyncio.Task[object] | None = None) -> None:
        """A request begins, in the present task."""
        current.set(work)
        self._works[work] = task or asyncio.current_task()
        if self._timer is None:
            self._turn()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            self._busy.set()

    def leave(self, work: Work) -> None:
        self._works.pop(work, None)

    def rest(self) -> None:
        """The room ends. A call that is still in a thread keeps the watchdog awake: the process waits for it."""
        if not self._calls:
            self.close()

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        faulthandler.cancel_dump_traceback_later()
        self._busy.set()

    def _turn(self) -> None:
        """The loop is alive; seen so often that a standstill is noticed in time."""
        self._turned = time.monotonic()
        if not self._works and not self._calls:
            self._timer = None
            self._busy.clear()
            faulthandler.cancel_dump_traceback_later()
            return
        if self._end:
            faulthandler.dump_traceback_later(self._stuck_secs + GRACE_SECS, exit=True, file=SINK.fd)
        self._timer = self._loop.call_later(min(1.0, self._stuck_secs / LOOKS_PER_LIMIT), self._turn)

    # --- in threads

    def offload(self, pool: Offload) -> Callable[..., Awaitable[object]]:
        """``pool`` with every call watched; the request is the one that asks."""

        def watched(fn: Callable[..., T], *arguments: object) -> Awaitable[T]:
            return pool(self._run, current.get(), fn, *arguments)

        return watched

    def _run(self, work: Work | None, fn: Callable[..., T], *arguments: object) -> T:
        call = _Call(
            work,
            threading.get_ident(),
            time.pthread_getcpuclockid(threading.get_ident()),
            time.monotonic(),
            time.thread_time(),
        )
        self._calls.add(call)
        try:
            return fn(*arguments)
        finally:
            self._calls.discard(call)

    def _watch(self) -> None:
        pause = min(0.5, self._stuck_secs / LOOKS_PER_LIMIT)
        while not self._closed:
            self._busy.wait()
            time.sleep(pause)
            if self._closed or not self._busy.is_set():
                continue
            now = time.monotonic()
            if now - self._turned > self._stuck_secs:
                self._fire(self._on_loop(), self._loop_thread, f"has blocked the loop for {self._stuck_secs:g} s")
                return
            for call in list(self._calls):
                if now - call.since > self._call_secs:
                    self._fire(call.work, call.thread, f"is still in its call after {self._call_secs:g} s")
                    return
                if _cpu(call) > self._stuck_secs:
                    self._fire(call.work, call.thread, f"has used {self._stuck_secs:g} s of CPU in one call")
                    return

    def _on_loop(self) -> Work | None:
        """The request whose task the loop is in; one that is alone in any case."""
        works = dict(self._works)
        task = asyncio.current_task(self._loop)
        for work, its_task in works.items():
            if its_task is task and task is not None:
                return work
        return next(iter(works)) if len(works) == 1 else None

    def _fire(self, work: Work | None, thread: int, why: str) -> None:
        label = work.label if work is not None else "something"
        self.fired = f"{label} {why}"
        where = _where(thread)
        self._log.error(f"{self.fired}, this process ends now" + (f"; it is at {where}" if where else ""))
        if work is not None:
            work.give_up("The worker was stuck with this request and has been killed")
        if self._end:
            os.kill(os.getpid(), signal.SIGKILL)


def _cpu(call: _Call) -> float:
    try:
        return time.clock_gettime(call.clock) - call.cpu_at_start
    except OSError:  # the thread has just ended
        return 0.0


def _where(thread: int) -> str:
    """The innermost places of a thread's stack: files, lines and functions."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    places = [
        f"{os.path.basename(one.filename)}:{one.lineno} {one.name}"
        for one in traceback.extract_stack(frame)[-STACK_LINES:]
    ]
    return " < ".join(reversed(places))
