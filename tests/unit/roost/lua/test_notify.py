"""Push notification scripts: names, tables, order, failures."""

from __future__ import annotations

from typing import Any

import pytest
from kit.lua import Lines, load, run, text

from roost.lua.notify import FIELDS, deliver, event_table, handler_name, handlers


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("MessageNew", "dovecot_lua_notify_event_message_new"),
        ("FlagsClear", "dovecot_lua_notify_event_flags_clear"),
        ("MailboxUnsubscribe", "dovecot_lua_notify_event_mailbox_unsubscribe"),
    ],
)
def test_handler_names(event: str, name: str) -> None:
    assert handler_name(event) == name


def test_what_is_absent() -> None:
    table = event_table("MessageNew", "INBOX", {"uid": 5})
    assert (table["uid"], table["uid_validity"], table["date"], table["tz"]) == (5, 0, -1, 0)
    assert (table["from"], table["to_address"], table["flags"], table["keywords"]) == ("", "", [], [])
    assert not {"subject", "snippet", "message_id"} & set(table)
    assert event_table("MailboxCreate", "x", {}) == {"name": "MailboxCreate", "mailbox": "x"}
    assert set(FIELDS["FlagsClear"]) == {"uid", "uid_validity", "flags", "flags_old", "keywords", "keywords_old"}


EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("MessageNew", "INBOX", {"uid": 3, "from_address": "a@b", "flags": ["\\Seen", "\\Flagged"], "date": 10}),
    ("MessageRead", "INBOX", {"uid": 3}),
    ("MailboxRename", "New", {"mailbox_old": "Old"}),
    ("FlagsClear", "INBOX", {"uid": 3, "uid_validity": 9, "flags": ["\\Seen"], "flags_old": ["\\Seen", "\\Draft"]}),
]


def told(ok: bool) -> tuple[str, Lines]:
    lines = Lines()

    async def whole() -> str:
        script = load("push", lines)
        await script.start()
        await deliver(script, {"username": "anna"}, EVENTS, ok)
        (seen,) = await script.call("told")
        return str(seen)

    return run(whole()), lines


def test_a_transaction() -> None:
    seen, lines = told(True)
    assert seen.split("\n") == [
        "begin anna",
        "MessageNew anna INBOX 3 a@b nil 10 \\Seen,\\Flagged ",
        "FlagsClear 9 \\Seen \\Seen,\\Draft",
        "end anna true",
    ]
    assert [level for level, _ in lines.seen] == ["E"] and "broken handler" in lines.seen[0][1]


def test_a_failed_transaction() -> None:
    seen, _ = told(False)
    assert seen.split("\n") == ["begin anna", "end anna false"]


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        ("", 0),
        ("function dovecot_lua_notify_begin_txn() error('never') end", 0),
        ("function dovecot_lua_notify_event_message_new() called = true end", 1),
        (
            "function dovecot_lua_notify_begin_txn() end function dovecot_lua_notify_event_message_new() end",
            1,
        ),
    ],
)
def test_missing_functions(source: str, errors: int) -> None:
    lines = Lines()

    async def whole() -> None:
        script = text(source, lines)
        await script.start()
        await deliver(script, {"username": "anna"}, EVENTS, True)
        assert bool(handlers(script)) == bool(errors)

    run(whole())
    assert len([level for level, _ in lines.seen if level == "E"]) == errors
