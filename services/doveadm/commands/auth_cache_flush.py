"""doveadm auth cache flush: the auth service forgets what its databases have said."""

from __future__ import annotations

from roost.errors import Unavailable
from roost.ipc.lines import escape, to_octets
from services.doveadm.arguments import Arguments
from services.doveadm.auth_peer import LookupPeer
from services.doveadm.command import LIST, TEXT, Command, Option, Positional
from services.doveadm.context import Context

SOCKET = "auth-master"


def run(context: Context, arguments: Arguments) -> int:
    masks = [*arguments.list("user-mask"), *arguments.list("user")]
    path = context.socket_path(arguments.text("socket-path"), SOCKET)
    with LookupPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LookupPeer)
        found = peer.cache(b"CACHE-FLUSH", *(escape(to_octets(mask)) for mask in masks))
    if not found or not found[0].isdigit():
        raise Unavailable("The auth service gave no number")
    context.line(f"{int(found[0])} cache entries flushed")
    return 0


COMMAND = Command(
    "auth cache flush",
    "forget what the passdbs and userdbs have said",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default auth-master)", "path"),
        Option("u", "user", LIST, "forget these users only; wildcards * and ?", "user-mask"),
    ),
    positionals=(Positional("user-mask", needed=False, many=True),),
)
