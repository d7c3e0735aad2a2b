"""PURE. The life of one child: TABLE says for every state and event the next state and what to do.

A child's reports are gossip: they move it among STARTING, READY, BUSY and RETIRING, and can never revive a child
that we told to end. Totality of the table is a test.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a child stands, in the master's eyes."""

    STARTING = "starting"  # forked, has not reported yet
    READY = "ready"  # would accept another client
    BUSY = "busy"  # at its client limit
    RETIRING = "retiring"  # finishes its present clients, then leaves
    KILLED = "killed"  # was told to leave now
    GONE = "gone"  # reaped


class Event(Enum):
    """What can happen to a child."""

    AVAILABLE = "available"  # reported room for more clients
    FULL = "full"  # reported no room
    RETIRED = "retired"  # reported that it retires
    DRAIN = "drain"  # the master wants it to finish its clients (reload)
    STOP = "stop"  # the master wants it gone (stop)
    MUTE = "mute"  # no first report, or no heartbeat, in time
    OVERDUE = "overdue"  # was told to leave and has not
    EXIT = "exit"  # waitpid returned it


class Action(Enum):
    """What the master does about it."""

    NOTHING = "nothing"
    SEND_QUIT = "quit"
    SEND_TERM = "term"
    SEND_KILL = "kill"
    REAP = "reap"


def _alive(*, killed: bool = False, retiring: bool = False) -> dict[Event, tuple[State, Action]]:
    """The rows of a living state; ``killed`` and ``retiring`` children no longer listen to their own reports."""
    stays = State.KILLED if killed else State.RETIRING
    deaf = killed or retiring
    return {
        Event.AVAILABLE: (stays if deaf else State.READY, Action.NOTHING),
        Event.FULL: (stays if deaf else State.BUSY, Action.NOTHING),
        Event.RETIRED: (stays, Action.NOTHING),
        Event.DRAIN: (stays, Action.NOTHING if killed else Action.SEND_QUIT),
        Event.STOP: (State.KILLED, Action.SEND_TERM),
        Event.MUTE: (State.KILLED, Action.SEND_KILL),
        Event.OVERDUE: (State.KILLED, Action.SEND_KILL),
        Event.EXIT: (State.GONE, Action.REAP),
    }


TABLE: dict[State, dict[Event, tuple[State, Action]]] = {
    State.STARTING: _alive(),
    State.READY: _alive(),
    State.BUSY: _alive(),
    State.RETIRING: _alive(retiring=True),
    State.KILLED: _alive(killed=True),
    State.GONE: dict.fromkeys(Event, (State.GONE, Action.NOTHING)),
}


def step(state: State, event: Event) -> tuple[State, Action]:
    """The table as a function."""
    return TABLE[state][event]
