"""What a push notification script is called with: handlers' names, event tables, and the order of one transaction.

``deliver`` runs a finished transaction: begin, every event, end. A failing handler is logged and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roost.events.event import Event
from roost.lua.script import LuaFailure, Script

BEGIN, END, EVENT = "dovecot_lua_notify_begin_txn", "dovecot_lua_notify_end_txn", "dovecot_lua_notify_event"

_MESSAGE = ("uid", "uid_validity")
_NEW = (
    *_MESSAGE,
    "date",
    "tz",
    "from",
    "from_address",
    "from_display_name",
    "to",
    "to_address",
    "to_display_name",
    "subject",
    "snippet",
    "flags",
    "keywords",
    "message_id",
)
FIELDS: Mapping[str, tuple[str, ...]] = {
    "MailboxCreate": (),
    "MailboxDelete": (),
    "MailboxRename": ("mailbox_old",),
    "MailboxSubscribe": (),
    "MailboxUnsubscribe": (),
    "MessageNew": _NEW,
    "MessageAppend": _NEW,
    "MessageRead": _MESSAGE,
    "MessageTrash": _MESSAGE,
    "MessageExpunge": _MESSAGE,
    "FlagsSet": (*_MESSAGE, "flags", "keywords"),
    "FlagsClear": (*_MESSAGE, "flags", "flags_old", "keywords", "keywords_old"),
}
"""Event name → its fields beside ``name`` and ``mailbox``."""

_LISTS = frozenset({"flags", "flags_old", "keywords", "keywords_old"})
_NIL_WHEN_ABSENT = frozenset({"subject", "snippet", "message_id"})
_NUMBERS = {"date": -1, "tz": 0, "uid": 0, "uid_validity": 0}
_CAPITAL = re.compile(r"([A-Z])")


def handler_name(event: str) -> str:
    """``MessageNew`` → ``dovecot_lua_notify_event_message_new``."""
    return EVENT + _CAPITAL.sub(lambda match: "_" + match[1].lower(), event)


def handlers(script: Script) -> dict[str, str]:
    """Event name → handler, for the events that the script handles. Empty: neither begin nor end is called."""
    return {event: name for event in FIELDS if script.has(name := handler_name(event))}


def event_table(event: str, mailbox: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The table a handler gets. Fields that are not known are "", 0, -1, an empty list or absent, as in Dovecot."""
    table: dict[str, Any] = {"name": event, "mailbox": mailbox}
    for field in FIELDS[event]:
        value = values.get(field)
        if field in _LISTS:
            table[field] = list(value or ())
        elif value is not None:
            table[field] = value
        elif field in _NUMBERS:
            table[field] = _NUMBERS[field]
        elif field not in _NIL_WHEN_ABSENT:
            table[field] = ""
    return table


async def deliver(script: Script, user: Any, events: Iterable[tuple[str, str, Mapping[str, Any]]], ok: bool) -> None:
    """One transaction: ``events`` are (event name, mailbox, values). With ``ok`` false only begin and end are called.

    ``user`` is what begin gets (a ``MailUser``, a table). Failures are logged on the script's event.
    """
    known = handlers(script)
    if not known:
        return
    try:
        (context,) = await script.call_raw(BEGIN, user, results=1)
    except LuaFailure as error:
        script.event.log_error(f"push_notification_lua: {BEGIN}: {error}")
        _finished(script, BEGIN, str(error))
        return
    _finished(script, BEGIN)
    if ok:
        for event, mailbox, values in events:
            if event in known:
                await _call(script, known[event], context, event_table(event, mailbox, values))
    await _call(script, END, context, ok)


async def _call(script: Script, name: str, *values: Any) -> None:
    problem = ""
    try:
        await script.call_raw(name, *values, results=0)
    except LuaFailure as error:
        problem = str(error)
        script.event.log_error(f"push_notification_lua: {name}: {error}")
    _finished(script, name, problem)


def _finished(script: Script, function: str, problem: str = "") -> None:
    event = Event(script.event, fields={"function_name": function})
    if problem:
        event.add_field("error", problem)
    event.set_name("push_notification_lua_call_finished")
    event.log_debug(f"Called {function}")
