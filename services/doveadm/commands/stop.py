"""doveadm stop: stop the master and all its services, and wait until they are gone."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command
from services.doveadm.context import Context
from services.doveadm.control import Master


def run(context: Context, arguments: Arguments) -> int:
    with Master(context) as master:
        assert isinstance(master, Master)
        problem = master.order("SHUTDOWN")
        if problem:
            context.error(problem)
            return os.EX_TEMPFAIL
        master.ended()
    return os.EX_OK


COMMAND = Command("stop", "stop Roost", run)
