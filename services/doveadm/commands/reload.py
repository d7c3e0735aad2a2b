"""doveadm reload: make the master read its configuration again. Present sessions go on."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.command import Command
from services.doveadm.context import Context
from services.doveadm.control import Master


def run(context: Context, arguments: Arguments) -> int:
    with Master(context) as master:
        assert isinstance(master, Master)
        problem = master.order("RELOAD")
    if problem:
        context.error(f"{problem}; the old configuration stays in force")
        return os.EX_CONFIG
    return os.EX_OK


COMMAND = Command("reload", "read the configuration again", run)
