"""The commands: COMMANDS names each and the file it is in, which is loaded when the command runs or is explained.

Every file ends in ``COMMAND = Command(…)``. A new command is a new file and a row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.doveadm.command import Command

COMMANDS: Mapping[str, str] = {
    "auth cache flush": "auth_cache_flush",
    "auth cache status": "auth_cache_status",
    "auth login": "auth_login",
    "auth lookup": "auth_lookup",
    "auth test": "auth_test",
    "dict get": "dict_get",
    "dict inc": "dict_inc",
    "dict iter": "dict_iter",
    "dict set": "dict_set",
    "dict unset": "dict_unset",
    "help": "help",
    "penalty": "penalty",
    "process status": "process_status",
    "pw": "pw",
    "reload": "reload",
    "service status": "service_status",
    "service stop": "service_stop",
    "stop": "stop",
    "user": "user",
    "who": "who",
}


def load(name: str) -> Command:
    """The command of a name that stands in the table."""
    module = import_module(f"services.doveadm.commands.{COMMANDS[name]}")
    return cast(Command, vars(module)["COMMAND"])
