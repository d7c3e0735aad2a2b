"""What an exit means."""

from __future__ import annotations

import os
import signal

from master.reap import THROTTLE_MAX_SECS, Exit, ExitReport, Tally, decode, describe


def report(
    code: int | None = 1, signum: int | None = None, *, reported: bool = False, age: float = 0.1, told: bool = False
) -> ExitReport:
    return ExitReport(Exit(code, signum), 42, reported, age, told)


def test_decode_agrees_with_the_system() -> None:
    for status in (0, 1 << 8, 255 << 8, signal.SIGKILL, signal.SIGSEGV | 0x80):
        found = decode(status)
        if os.WIFSIGNALED(status):
            assert (found.code, found.signum, found.core_dumped) == (None, os.WTERMSIG(status), os.WCOREDUMP(status))
        else:
            assert (found.code, found.signum) == (os.WEXITSTATUS(status), None)


def test_descriptions() -> None:
    assert describe("imap", report(78)) == "service(imap): child 42 returned error 78 (Wrong configuration)"
    assert describe("imap", report(99)) == "service(imap): child 42 returned error 99 (Fatal failure)"
    assert "killed with signal 9 (SIGKILL)" in describe("imap", report(None, signal.SIGKILL))
    assert "vsz_limit=512 MB" in describe("imap", report(83), 512 << 20)
    assert "vsz_limit" not in describe("imap", report(83))


def test_a_death_before_ready_throttles_and_the_pause_doubles() -> None:
    tally, now, pauses = Tally(), 0.0, []
    for _ in range(8):
        pauses.append(tally.note_exit(report(), now))
        assert tally.throttled(now)
        now = tally.throttled_until
        assert not tally.throttled(now)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert max(pauses) == THROTTLE_MAX_SECS


def test_several_deaths_of_one_batch_count_once() -> None:
    tally = Tally()
    assert [tally.note_exit(report(), 5.0) for _ in range(4)] == [2, 0, 0, 0]


def test_a_clean_exit_and_a_healthy_age_begin_again() -> None:
    for healthy in (report(0), report(1, reported=True, age=60.0)):
        tally = Tally()
        tally.note_exit(report(), 0.0)
        tally.note_exit(report(), 3.0)
        tally.note_exit(healthy, 20.0)
        assert tally.note_exit(report(), 30.0) == 2


def test_a_crash_after_ready_is_just_replaced() -> None:
    tally = Tally()
    assert [tally.note_exit(report(reported=True), float(second)) for second in range(50)] == [0.0] * 50


def test_a_storm_of_crashes_throttles_a_service_that_never_worked() -> None:
    tally = Tally()
    assert sum(tally.note_exit(report(reported=True), 7.5) for _ in range(11)) == 2


def test_users_who_crash_their_sessions_cannot_throttle_a_healthy_service() -> None:
    tally = Tally()
    tally.note_exit(report(1, reported=True, age=11.0), 1.0)
    assert sum(tally.note_exit(report(reported=True), 7.5) for _ in range(500)) == 0


def test_ending_as_told_is_no_failure() -> None:
    assert not report(None, signal.SIGTERM, told=True).failed
    assert report(None, signal.SIGTERM).failed
    assert report(None, signal.SIGSEGV, told=True).failed
    assert report(1, told=True).failed
    assert Tally().note_exit(report(None, signal.SIGKILL, told=True), 1.0) == 0
