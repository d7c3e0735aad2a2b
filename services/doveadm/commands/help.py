"""doveadm help: the commands, or how one of them is used."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context


def run(context: Context, arguments: Arguments) -> int:
    from services.doveadm.usage import command_help, overview, unknown

    words = arguments.list("command")
    if not words:
        context.out.write(overview())
        return os.EX_OK
    text = command_help(" ".join(words))
    if text is None:
        context.err.write(unknown(words))
        return os.EX_USAGE
    context.out.write(text)
    return os.EX_OK


COMMAND = Command(
    "help",
    "show the commands, or how one is used",
    run,
    positionals=(Positional("command", needed=False, many=True),),
)
