"""doveadm dict get: the value of a key."""

from __future__ import annotations

import os

from roost.dict.front import Dict
from roost.errors import RoostError
from services.doveadm.arguments import Arguments
from services.doveadm.command import Command
from services.doveadm.context import Context
from services.doveadm.dicts import KEY, NAME, NOT_FOUND, USER, failed, shown, with_dict
from services.doveadm.output import Column


def run(context: Context, arguments: Arguments) -> int:
    key = arguments.text("key")

    async def work(one: Dict, user: str) -> int:
        try:
            values = await one.lookup(key, user)
        except RoostError as error:
            failed(context, f"dict_lookup({key})", error)
        if values is None:
            context.error(f"{key} doesn't exist")
            return NOT_FOUND
        context.rows((Column("value", hide_title=True),), [(shown(value),) for value in values])
        return os.EX_OK

    return with_dict(context, arguments, key, work)


COMMAND = Command(
    "dict get", "show the value of a key", run, options=(USER,), positionals=(NAME, KEY), formatter="table"
)
