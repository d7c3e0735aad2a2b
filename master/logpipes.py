"""The children's standard error: one pipe per process, read without ever blocking, written to the log targets.

A child that floods is read all the same (its own writes never stall on us); lines above the rate are counted and
dropped, and the last of them are kept: when such a child dies of a failure they are written after all, so that a
traceback is never lost. ``Journal`` is also the master's own log.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

from master.loglines import Line, Splitter
from master.logtarget import Target, open_target
from roost.settings.schema import LoggingSettings

READ_OCTETS = 1 << 16
DRAIN_READS = 16
"""A pipe holds 64 KiB unless somebody enlarged it; a grandchild may still be writing."""
LINES_PER_SEC = 20_000
TAIL_LINES = 200
ERRORS_KEPT = 1000
_KEPT_LEVELS = frozenset("WEFP")


class Journal:
    """The log targets by level, and the last errors for ``doveadm log errors``."""

    def __init__(self, errors: Target, info: Target | None = None, debug: Target | None = None) -> None:
        self._errors = errors
        self._info = info or errors
        self._debug = debug or self._info
        self.recent: deque[tuple[str, float, str, str]] = deque(maxlen=ERRORS_KEPT)
        """(level, UTC seconds, prefix, text) of warnings and worse."""

    def write(self, line: Line, *, more: bool = False) -> None:
        """``more``: others follow, and then a ``flush``."""
        if line.level in _KEPT_LEVELS:
            self.recent.append((line.level, time.time(), line.prefix, line.text))
            self._errors.write(line.level, line.prefix, line.text, more=more)
        elif line.level == "I":
            self._info.write(line.level, line.prefix, line.text, more=more)
        else:
            self._debug.write(line.level, line.prefix, line.text, more=more)

    def info(self, text: str) -> None:
        self._own("I", text)

    def warning(self, text: str) -> None:
        self._own("W", text)

    def error(self, text: str) -> None:
        self._own("E", text)

    def fatal(self, text: str) -> None:
        self._own("F", text)

    def flush(self) -> bool:
        """Try again what could not be written. True when nothing is left."""
        done = [target.flush() for target in self._targets()]  # every one, also after one that would block
        return all(done)

    def reopen(self) -> None:
        """Start new files; a file that cannot be opened is reported and the old one stays."""
        problems = [problem for target in self._targets() if (problem := target.reopen())]
        for problem in problems:
            self.error(problem)

    def replace(self, other: Journal) -> None:
        """Take over the targets of ``other`` (a reload); the kept errors stay."""
        for target in self._targets():
            target.close()
        self._errors, self._info, self._debug = other._errors, other._info, other._debug

    def close(self) -> None:
        for target in self._targets():
            target.close()

    def _targets(self) -> list[Target]:
        return list({id(t): t for t in (self._errors, self._info, self._debug)}.values())

    def _own(self, level: str, text: str) -> None:
        for line in text.splitlines() or [""]:
            self.write(Line(level, "master: ", line))


def open_journal(settings: LoggingSettings, ident: str) -> Journal:
    """The targets the settings ask for; one that is named twice is opened once. Raises: ConfigError."""
    opened: dict[str, Target] = {}

    def target(path: str) -> Target | None:
        if not path:
            return None
        if path not in opened:
            opened[path] = open_target(
                path, timestamp=settings.log_timestamp, facility=settings.syslog_facility, ident=ident
            )
        return opened[path]

    errors = target(settings.log_path) or target("/dev/stderr")
    assert errors is not None
    return Journal(errors, target(settings.info_log_path), target(settings.debug_log_path))


class LogPipe:
    """The read end of one child's standard error."""

    def __init__(self, fd: int, service: str, pid: int, journal: Journal, clock: Callable[[], float]) -> None:
        self.fd = fd
        self.pid = pid
        self._prefix = f"{service}[{pid}]: "
        self._journal = journal
        self._splitter = Splitter(self._prefix)
        self._clock = clock
        self._second = 0
        self._lines_in_sec = 0
        self._dropped = 0
        self._tail: deque[Line] = deque(maxlen=TAIL_LINES)

    def read(self) -> bool:
        """Take what is there, at most READ_OCTETS. False at the end of file: nobody will ever write again."""
        try:
            data = os.read(self.fd, READ_OCTETS)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self._take(self._splitter.finish())
            self._report_dropped()
            return False
        self._take(self._splitter.feed(data))
        return True

    def drain(self, *, failed: bool) -> None:
        """The child was reaped: take all it left behind; after a failure also the last lines dropped by the rate."""
        for _ in range(DRAIN_READS):
            if self.fd < 0 or not self._more():
                break
        self._take(self._splitter.finish())
        tail, self._tail = self._tail, deque(maxlen=TAIL_LINES)
        if failed and tail:
            self._report_dropped(but_last=len(tail))
            for line in tail:
                self._journal.write(line)

    def close(self) -> None:
        """After the end of file. The number may become another descriptor's at once, so it is forgotten here."""
        os.close(self.fd)
        self.fd = -1

    def _more(self) -> bool:
        try:
            data = os.read(self.fd, READ_OCTETS)
        except OSError:
            return False
        self._take(self._splitter.feed(data))
        return bool(data)

    def _take(self, lines: list[Line]) -> None:
        if not lines:
            return
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines_in_sec = second, 0
            self._report_dropped()
        for line in lines:
            self._lines_in_sec += 1
            if self._lines_in_sec <= LINES_PER_SEC:
                self._journal.write(line, more=True)
            else:
                self._dropped += 1
                self._tail.append(line)
        self._journal.flush()

    def _report_dropped(self, but_last: int = 0) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            kept = f", the last {but_last} of them follow" if but_last else ""
            text = f"wrote more than {LINES_PER_SEC} lines in a second: {dropped} lines were dropped{kept}"
            self._journal.write(Line("W", self._prefix, text))
