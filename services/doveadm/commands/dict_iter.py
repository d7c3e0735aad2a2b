"""doveadm dict iter: the keys below a prefix."""

from __future__ import annotations

import os

from roost.dict.api import Flags
from roost.dict.front import Dict
from roost.errors import RoostError
from services.doveadm.arguments import Arguments
from services.doveadm.command import FLAG, Command, Option, Positional
from services.doveadm.context import Context
from services.doveadm.dicts import NAME, USER, failed, shown, with_dict
from services.doveadm.output import Column

FLAGS = (("exact", Flags.EXACT_KEY), ("recurse", Flags.RECURSE), ("no-value", Flags.NO_VALUE))


def run(context: Context, arguments: Arguments) -> int:
    prefix = arguments.text("prefix")
    flags = Flags.SORT_BY_KEY
    for name, flag in FLAGS:
        if arguments.flag(name):
            flags |= flag
    keys_only = Flags.NO_VALUE in flags

    async def work(one: Dict, user: str) -> int:
        try:
            rows = await one.all_rows(prefix, flags, user)
        except RoostError as error:
            failed(context, f"dict_iterate({prefix})", error)
        if keys_only:
            context.rows((Column("key"),), [(key,) for key, _ in rows])
        else:
            columns = (Column("key"), Column("value"))
            context.rows(columns, [(key, shown(value)) for key, values in rows for value in values])
        return os.EX_OK

    return with_dict(context, arguments, prefix, work)


COMMAND = Command(
    "dict iter",
    "list the keys below a prefix",
    run,
    options=(
        USER,
        Option("1", "exact", FLAG, "only the key itself"),
        Option("R", "recurse", FLAG, "also what is below further slashes"),
        Option("V", "no-value", FLAG, "keys without their values"),
    ),
    positionals=(NAME, Positional("prefix")),
    formatter="tab",
)
