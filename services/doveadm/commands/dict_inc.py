"""doveadm dict inc: add to a number."""

from __future__ import annotations

import os
import re
from functools import partial

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context
from services.doveadm.dicts import KEY, NAME, TIMESTAMP, USER, change, with_dict

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def run(context: Context, arguments: Arguments) -> int:
    key, word = arguments.text("key"), arguments.text("difference")
    if not _INTEGER.fullmatch(word):
        context.error(f"Invalid diff: {word}")
        return os.EX_USAGE
    difference = int(word)
    return with_dict(
        context, arguments, key, partial(change, context, arguments, lambda made: made.atomic_inc(key, difference))
    )


COMMAND = Command(
    "dict inc",
    "add to a number (a negative one after --)",
    run,
    options=(USER, TIMESTAMP),
    positionals=(NAME, KEY, Positional("difference")),
)
