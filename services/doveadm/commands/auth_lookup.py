"""doveadm auth lookup: what the passdbs say about users, without their passwords."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.auth_peer import LookupPeer, info_octets
from services.doveadm.command import LIST, TEXT, Command, Option, Positional
from services.doveadm.context import Context

SOCKET = "auth-userdb"


def run(context: Context, arguments: Arguments) -> int:
    parameters = info_octets(arguments.list("auth-info"))
    wanted = arguments.text("field")
    path = context.socket_path(arguments.text("socket-path"), SOCKET)
    status = os.EX_OK
    with LookupPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LookupPeer)
        for number, name in enumerate(arguments.list("user")):
            found = peer.look_up(b"PASS", name, parameters)
            if found.user is None:
                context.error(f"passdb lookup: user {name} doesn't exist")
                status = os.EX_NOUSER
                continue
            fields = {"user": found.user, **found.fields}
            if wanted:
                if wanted in fields:
                    context.line(fields[wanted])
                continue
            if number:
                context.line()
            context.line(f"passdb: {name}")
            for key, value in fields.items():
                context.line(f"  {key:<10}: {value}")
    return status


COMMAND = Command(
    "auth lookup",
    "look users up in the passdbs",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default auth-userdb)", "path"),
        Option("f", "field", TEXT, "print only this field's value", "field"),
        Option("x", "auth-info", LIST, "say more of the client: service rip lip …", "key=value"),
    ),
    positionals=(Positional("user", many=True),),
)
