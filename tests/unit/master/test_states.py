"""The table of a child's life: total, and gossip cannot revive the dead."""

from __future__ import annotations

import pytest

from master.states import TABLE, Action, Event, State, step


def test_every_state_has_every_event() -> None:
    assert set(TABLE) == set(State)
    for state, row in TABLE.items():
        assert set(row) == set(Event), state


def test_every_action_is_used_and_every_state_reached() -> None:
    outcomes = [outcome for row in TABLE.values() for outcome in row.values()]
    assert {action for _, action in outcomes} == set(Action)
    assert {state for state, _ in outcomes} | {State.STARTING} == set(State)


@pytest.mark.parametrize("gossip", [Event.AVAILABLE, Event.FULL, Event.RETIRED])
def test_a_child_told_to_leave_is_not_revived_by_its_own_reports(gossip: Event) -> None:
    assert step(State.KILLED, gossip) == (State.KILLED, Action.NOTHING)
    assert step(State.RETIRING, gossip) == (State.RETIRING, Action.NOTHING)
    assert step(State.GONE, gossip) == (State.GONE, Action.NOTHING)


@pytest.mark.parametrize("state", [s for s in State if s is not State.GONE])
def test_stop_drain_mute_and_overdue_do_what_they_say_in_every_living_state(state: State) -> None:
    assert step(state, Event.STOP) == (State.KILLED, Action.SEND_TERM)
    assert step(state, Event.MUTE) == (State.KILLED, Action.SEND_KILL)
    assert step(state, Event.OVERDUE) == (State.KILLED, Action.SEND_KILL)
    assert step(state, Event.EXIT) == (State.GONE, Action.REAP)


@pytest.mark.parametrize("state", [State.STARTING, State.READY, State.BUSY])
def test_reports_move_a_serving_child(state: State) -> None:
    assert step(state, Event.AVAILABLE)[0] is State.READY
    assert step(state, Event.FULL)[0] is State.BUSY
    assert step(state, Event.RETIRED)[0] is State.RETIRING
    assert step(state, Event.DRAIN) == (State.RETIRING, Action.SEND_QUIT)


def test_nothing_wakes_the_gone() -> None:
    assert all(outcome == (State.GONE, Action.NOTHING) for outcome in TABLE[State.GONE].values())
