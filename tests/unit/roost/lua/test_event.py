"""Event objects and passthroughs: prefixes, fields, names, log lines with the script's file and line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kit.lua import LUA_5_3, Lines, load, run

from roost.events import event as events
from roost.events.event import Event, Sent
from roost.events.log import Log
from roost.lua.script import LuaFailure


@pytest.fixture
def sent() -> Iterator[list[Sent]]:
    seen: list[Sent] = []
    events.OBSERVERS.append(seen.append)
    yield seen
    events.OBSERVERS.remove(seen.append)


def call(function: str, lines: Lines, *values: Any) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = load("events", lines)
        await script.start()
        try:
            return await script.call(function, *values)
        finally:
            await script.close()

    return run(whole())


def test_methods_chain_and_the_name_is_used_up(sent: list[Sent]) -> None:
    lines = Lines()
    call("chain", lines)
    assert lines.seen == [("I", "test: one: hello"), ("W", "test: one: again")]
    assert [one.name for one in sent] == ["first", ""]
    fields = dict(sent[0].fields)
    assert fields.pop("script").endswith("scripts/events.lua")  # type: ignore[union-attr]
    assert fields == {"s": "text", "n": 2, "new": 5, "t": 7.0}
    assert sent[0].categories == {"lua"}
    assert (sent[0].file, sent[0].line) == ("events.lua", 3 if LUA_5_3 else 4)


def test_children_inherit(sent: list[Sent]) -> None:
    lines = Lines()
    call("child", lines)
    assert lines.seen == [("E", "test: p: c: deep"), ("I", "only: bare")]
    assert sent[0].fields["k"] == "above"


def test_forced_debug() -> None:
    lines = Lines()
    call("forced", lines)
    assert [text for _, text in lines.seen] == ["test: shown", "test: inherited"]


def test_always_log_source() -> None:
    lines = Lines()
    call("source", lines)
    assert lines.seen == [("I", "test: events.lua:20: where")]


def test_a_passthrough_is_one_send(sent: list[Sent]) -> None:
    lines = Lines()
    call("pass", lines)
    assert lines.seen == [("I", "test: e: p: passed"), ("I", "test: e: plain")]
    assert (sent[0].name, sent[0].fields["only"]) == ("once", "here")
    assert sent[1].name == "" and "only" not in sent[1].fields


def test_a_leaked_passthrough_is_logged() -> None:
    lines = Lines()
    call("leak", lines)
    assert lines.seen == [("E", "test: Passthrough event leaked by Lua script at events.lua:26")]


def test_a_second_passthrough_aborts_the_first() -> None:
    lines = Lines()
    call("twice", lines)
    assert lines.seen == [
        ("E", "test: Passthrough event leaked by Lua script at events.lua:29"),
        ("I", "test: second"),
    ]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("dead", "passthrough event was already finished"),
        ("wrong_object", "Bad argument #1, expected struct event got string"),
        ("wrong_count", "expected 2 arguments, got 1"),
        ("wrong_parent", "Bad argument #1, expected struct event got string"),
    ],
)
def test_misuse(function: str, text: str) -> None:
    with pytest.raises(LuaFailure) as caught:
        call(function, Lines())
    assert caught.value.reason == text


def test_scripts_may_add_keys() -> None:
    assert call("own_keys", Lines()) == (5, "table")


def test_python_pushes_events() -> None:
    lines = Lines()
    event = Event(log=Log("mine: ", lines), categories=("auth",))
    call("given", lines, event)
    assert event.field("from") == "lua"
    assert lines.seen == [("I", "mine: given")]


def test_without_observers_a_hidden_debug_line_still_uses_up_the_name() -> None:
    lines = Lines()
    event = Event(log=Log("", lines))
    event.set_name("x")
    event.log_debug("hidden")
    assert lines.seen == [] and event.take_name() == ""
