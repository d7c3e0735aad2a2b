"""PURE. What an exit means: its description for the log, and whether the service must be throttled.

A child that ends with a failure before its first report is a broken program: its service pauses, first 2 s, then twice
as long each time up to 60 s. A child that fails later is just replaced, unless more than ten fail within one second
in a service that has never worked; so no user can throttle a healthy service by crashing their own sessions.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from roost.proc.contract import EXIT_CANNOT_BOOT, EXIT_CONFIG, EXIT_TEMPORARY

THROTTLE_FIRST_SECS = 2.0
THROTTLE_MAX_SECS = 60.0
FAILURES_PER_SEC = 10
HEALTHY_AGE_SECS = 10.0
EXIT_OUT_OF_MEMORY = 83
EXIT_EXEC = 84

EXIT_TEXTS = {
    1: "Crashed, see the traceback above",
    EXIT_CANNOT_BOOT: "Could not start",
    EXIT_TEMPORARY: "Temporary failure",
    EXIT_CONFIG: "Wrong configuration",
    EXIT_OUT_OF_MEMORY: "Out of memory",
    EXIT_EXEC: "exec() failed",
}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: by ``code``, or by ``signum`` (then ``code`` is None)."""

    code: int | None
    signum: int | None = None
    core_dumped: bool = False

    @property
    def clean(self) -> bool:
        return self.code == 0


@dataclass(frozen=True, slots=True)
class ExitReport:
    """An exit in its context."""

    exit: Exit
    pid: int
    reported: bool
    """It had sent its first status."""
    age_secs: float
    told: bool
    """The master had asked it to end, so ending by that signal is no failure."""

    @property
    def failed(self) -> bool:
        if self.exit.clean:
            return False
        return not (self.told and self.exit.signum in _TOLD_SIGNALS)


_TOLD_SIGNALS = frozenset({signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGKILL})


def decode(wait_status: int) -> Exit:
    """A waitpid status as an Exit."""
    # The macros of wait(2), in numbers: keeping os out keeps this file pure.
    signum = wait_status & 0x7F
    if signum:
        return Exit(None, signum, bool(wait_status & 0x80))
    return Exit((wait_status >> 8) & 0xFF)


def describe(service: str, report: ExitReport, vsz_limit_octets: int = 0) -> str:
    """One line for the log, in Dovecot's words."""
    if report.exit.signum is not None:
        name = _signal_name(report.exit.signum)
        core = " (core dumped)" if report.exit.core_dumped else ""
        return f"service({service}): child {report.pid} killed with signal {report.exit.signum} ({name}){core}"
    text = EXIT_TEXTS.get(report.exit.code or 0, "Fatal failure")
    if report.exit.code == EXIT_OUT_OF_MEMORY and vsz_limit_octets:
        megabytes = vsz_limit_octets // (1 << 20)
        text += f" (service {service} {{ vsz_limit={megabytes} MB }}, you may need to increase it)"
    return f"service({service}): child {report.pid} returned error {report.exit.code} ({text})"


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "unknown"


class Tally:
    """The death tally of one service; survives reloads by being handed over."""

    def __init__(self) -> None:
        self.throttled_until = 0.0
        self.throttle_secs = 0.0
        self.healthy = False
        self.failures_in_sec = 0
        self.failure_second = 0
        self.last_failure: float | None = None

    def throttled(self, now: float) -> bool:
        return now < self.throttled_until

    def note_exit(self, report: ExitReport, now: float) -> float:
        """Count an exit at monotonic ``now``. Returns the seconds to throttle for, 0 for none."""
        if report.exit.clean or (report.reported and report.age_secs >= HEALTHY_AGE_SECS):
            self.healthy = True
            self.throttle_secs = 0.0
        if not report.failed:
            return 0.0
        self.last_failure = now
        if int(now) != self.failure_second:
            self.failure_second, self.failures_in_sec = int(now), 0
        self.failures_in_sec += 1
        if not report.reported:
            return self.throttle(now)
        if self.failures_in_sec > FAILURES_PER_SEC and not self.healthy:
            return self.throttle(now)
        return 0.0

    def throttle(self, now: float) -> float:
        """Begin or prolong the pause; also used when fork fails. Several deaths within one pause count once."""
        if self.throttled(now):
            return 0.0
        self.throttle_secs = min(max(self.throttle_secs * 2, THROTTLE_FIRST_SECS), THROTTLE_MAX_SECS)
        self.throttled_until = now + self.throttle_secs
        return self.throttle_secs
