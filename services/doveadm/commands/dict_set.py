"""doveadm dict set: give a key a value."""

from __future__ import annotations

from functools import partial

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context
from services.doveadm.dicts import EXPIRE, KEY, NAME, TIMESTAMP, USER, change, octets, with_dict


def run(context: Context, arguments: Arguments) -> int:
    key, value = arguments.text("key"), octets(arguments.text("value"))
    return with_dict(context, arguments, key, partial(change, context, arguments, lambda made: made.set(key, value)))


COMMAND = Command(
    "dict set",
    "give a key a value",
    run,
    options=(USER, TIMESTAMP, EXPIRE),
    positionals=(NAME, KEY, Positional("value")),
)
