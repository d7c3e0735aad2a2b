"""Start a coroutine at once and give it a task only when it really waits.

Most commands never wait: their data is there. ``run_inline`` runs such a coroutine like a plain function (no task, no
turn of the loop, about 0.1 µs instead of 3). When the coroutine stops at a future, the rest of it becomes an
``asyncio.Task`` that goes on from exactly there.

Until its first wait such code runs outside any task: it must not use ``asyncio.timeout``, ``current_task`` or
``asyncio.sleep(0)``-style yields that need a task at once (a bare yield does work).

``run_direct`` spares the task also where the wait is for a ``Coming`` value: the coroutine then goes on inside
``set_result``, in the turn that brought the value, and what it writes leaves in that turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from roost.storage import waiting
from roost.storage.waiting import Coming

__all__ = ["Coming", "Direct", "run_direct", "run_inline"]

T = TypeVar("T")


def run_inline(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
    """Run ``coro`` until it ends or waits.

    Ended: returns None (its result is dropped); what it raised is raised here. Waiting: returns the task that will
    finish it; the caller keeps the task and looks after its exception.
    """
    before, waiting.direct = waiting.direct, False
    try:
        first = coro.send(None)
    except StopIteration:
        return None
    finally:
        waiting.direct = before
    return asyncio.Task(_Started(coro, first), loop=loop)


def run_direct(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], around: Callable[[Callable[[], None]], None]
) -> Direct | asyncio.Task[T] | None:
    """Like ``run_inline``; where the coroutine waits for a ``Coming`` the result is no task but looks like one.

    ``around`` is called with what is to be run when the value has come, and runs it.
    """
    before, waiting.direct = waiting.direct, True
    try:
        first = coro.send(None)
    except StopIteration:
        return None
    finally:
        waiting.direct = before
    if type(first) is Coming:
        return Direct(loop, coro, around, first)
    return asyncio.Task(_Started(coro, first), loop=loop)


class Direct:
    """The rest of a coroutine that waits for a Coming: the part of a task's methods that its starter uses."""

    __slots__ = ("_around", "_callback", "_cancelled", "_coming", "_coro", "_done", "_error", "_loop", "_task")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any],
        around: Callable[[Callable[[], None]], None],
        coming: Coming[Any],
    ) -> None:
        self._loop = loop
        self._coro = coro
        self._around = around
        self._coming: Coming[Any] | None = coming
        self._task: asyncio.Task[Any] | None = None  # since it waits for something else
        self._done = self._cancelled = False
        self._error: BaseException | None = None
        self._callback: Callable[[Any], object] | None = None
        coming._resume = self._come

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return self._cancelled

    def exception(self) -> BaseException | None:
        return self._error

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback`` with this object as soon as it is done. To be called before that, once."""
        self._callback = callback

    def cancel(self) -> None:
        """CancelledError where the coroutine waits, in the loop's next turn."""
        if self._task is not None:
            self._task.cancel()
        elif self._coming is not None:
            self._coming._resume = None
            self._coming = None
            self._loop.call_soon(self._step, asyncio.CancelledError())

    def _come(self) -> None:
        self._coming = None
        self._around(self._step)

    def _step(self, error: BaseException | None = None) -> None:
        before, waiting.direct = waiting.direct, True
        try:
            first = self._coro.send(None) if error is None else self._coro.throw(error)
        except StopIteration:
            self._done = True
        except asyncio.CancelledError:
            self._done = self._cancelled = True
        except Exception as exc:
            self._done = True
            self._error = exc
        finally:
            waiting.direct = before
        if self._done:
            self._end()
        elif type(first) is Coming:
            self._coming = first
            first._resume = self._come
        else:
            self._task = asyncio.Task(_Started(self._coro, first), loop=self._loop)
            self._task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._done = True
        self._cancelled = task.cancelled()
        self._error = None if self._cancelled else task.exception()
        self._end()

    def _end(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(self)


class _Started(Coroutine[Any, Any, T]):
    """A coroutine already begun, as a new one: its first step hands out the future it stopped at."""

    __slots__ = ("_coro", "_first")

    def __init__(self, coro: Coroutine[Any, Any, T], first: Any) -> None:
        self._coro = coro
        self._first: Any = (first,)  # a tuple, for what it stopped at may be None (a bare yield)

    def send(self, value: Any) -> Any:
        if self._first is not None:
            (first,) = self._first
            self._first = None
            return first
        return self._coro.send(value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        if self._first is not None:  # cancelled before the task's first step: nobody else waits for the future
            (first,) = self._first
            self._first = None
            if first is not None:
                first.cancel()
        exc = val if isinstance(val, BaseException) else typ
        return self._coro.throw(exc)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Any:
        return self

    def __repr__(self) -> str:
        return repr(self._coro)
