"""doveadm dict unset: remove a key."""

from __future__ import annotations

from functools import partial

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command
from services.doveadm.context import Context
from services.doveadm.dicts import KEY, NAME, TIMESTAMP, USER, change, with_dict


def run(context: Context, arguments: Arguments) -> int:
    key = arguments.text("key")
    return with_dict(context, arguments, key, partial(change, context, arguments, lambda made: made.unset(key)))


COMMAND = Command("dict unset", "remove a key", run, options=(USER, TIMESTAMP), positionals=(NAME, KEY))
