"""What a service needs now: a table, and properties that hold for every view."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.policy import FULL_PAUSE_SECS, SPAWN_BATCH, View, Wanted, idle_victims, is_mute, wanted

NOW = 1000.0

CASES: list[tuple[str, View, Wanted]] = [
    ("prefork", View(counted=0, available=0, min_available=2, limit=5), Wanted(spawn=2)),
    ("enough", View(counted=2, available=2, min_available=2, limit=5), Wanted()),
    ("one short", View(counted=3, available=1, min_available=2, limit=5), Wanted(spawn=1)),
    ("no more than the limit", View(counted=4, available=0, min_available=3, limit=5), Wanted(spawn=1)),
    ("batch", View(counted=0, available=0, min_available=50, limit=100), Wanted(spawn=SPAWN_BATCH)),
    ("on demand, nobody yet", View(counted=0, available=0, min_available=0, limit=5), Wanted(listen=True)),
    ("on demand, knock", View(counted=0, available=0, min_available=0, limit=5, knocking=True), Wanted(spawn=1)),
    ("somebody will accept", View(counted=1, available=1, min_available=0, limit=5, knocking=True), Wanted()),
    ("full, quiet", View(counted=5, available=0, min_available=1, limit=5), Wanted(listen=True)),
    (
        "full, first knock",
        View(counted=5, available=0, min_available=1, limit=5, knocking=True),
        Wanted(listen=True, full=True),
    ),
    (
        "full, pause",
        View(counted=5, available=0, min_available=1, limit=5, knocking=True, full_since=NOW - 1),
        Wanted(),
    ),
    (
        "full, pause over",
        View(counted=5, available=0, min_available=1, limit=5, knocking=True, full_since=NOW - FULL_PAUSE_SECS),
        Wanted(listen=True, full=True, shed=True),
    ),
    ("throttled", View(counted=0, available=0, min_available=2, limit=5, knocking=True, throttled=True), Wanted()),
    ("stopped", View(counted=0, available=0, min_available=2, limit=5, knocking=True, stopped=True), Wanted()),
    ("above the limit after a reload", View(counted=9, available=0, min_available=1, limit=5), Wanted(listen=True)),
]


@pytest.mark.parametrize(("name", "view", "answer"), CASES, ids=[case[0] for case in CASES])
def test_table(name: str, view: View, answer: Wanted) -> None:
    assert wanted(view, NOW) == answer


views = st.builds(
    View,
    counted=st.integers(0, 30),
    available=st.integers(0, 30),
    min_available=st.integers(0, 20),
    limit=st.integers(1, 20),
    knocking=st.booleans(),
    throttled=st.booleans(),
    stopped=st.booleans(),
    full_since=st.one_of(st.none(), st.floats(900, 1000)),
)


@settings(max_examples=200)
@given(views)
def test_properties(view: View) -> None:
    answer = wanted(view, NOW)
    assert 0 <= answer.spawn <= SPAWN_BATCH
    assert answer.spawn == 0 or view.counted + answer.spawn <= view.limit
    assert not (answer.spawn and answer.listen), "who starts a process need not listen for it"
    assert not (answer.full and view.available)
    assert answer.full or not answer.shed
    if view.stopped or view.throttled:
        assert answer == Wanted()
    if view.knocking and not view.available and not view.stopped and not view.throttled:
        paused = view.full_since is not None and view.full_since + FULL_PAUSE_SECS > NOW
        assert answer.spawn or answer.full or paused, "a knock is never forgotten"
    # Level-triggered: asking again gives the same, and a settled state stays settled.
    assert wanted(view, NOW) == answer
    if answer.spawn:
        after = replace(
            view, counted=view.counted + answer.spawn, available=view.available + answer.spawn, knocking=False
        )
        assert wanted(after, NOW).spawn <= max(view.min_available - after.available, 0)


def test_victims_are_the_longest_idle_and_only_the_surplus() -> None:
    idle = [(5.0, 50), (1.0, 10), (3.0, 30)]
    assert idle_victims(idle, lowwater=3, min_available=1) == [10, 30]
    assert idle_victims(idle, lowwater=2, min_available=1) == [10]
    assert idle_victims(idle, lowwater=0, min_available=1) == []
    assert idle_victims([], lowwater=3, min_available=0) == []


def test_mute() -> None:
    def mute(now: float, last: float | None) -> bool:
        return is_mute(now, born=100.0, last_report=last, first_report_secs=30, heartbeat_secs=20)

    assert not mute(129.9, None)
    assert mute(130.0, None)
    assert not mute(500.0, 480.1)
    assert mute(500.0, 480.0)
