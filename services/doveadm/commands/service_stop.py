"""doveadm service stop: stop services until the next reload."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context
from services.doveadm.control import Master


def run(context: Context, arguments: Arguments) -> int:
    with Master(context) as master:
        assert isinstance(master, Master)
        problem = master.order("STOP", *arguments.list("service"))
    if problem:
        context.error(problem)
        return os.EX_NOHOST
    return os.EX_OK


COMMAND = Command(
    "service stop",
    "stop services until the next reload",
    run,
    positionals=(Positional("service", many=True),),
)
