"""doveadm auth cache status: how full the authentication cache is, and how often it knew the answer."""

from __future__ import annotations

from roost.ipc import auth as wire
from services.doveadm.arguments import Arguments
from services.doveadm.auth_peer import LookupPeer
from services.doveadm.command import FLAG, TEXT, Command, Option
from services.doveadm.context import Context
from services.doveadm.output import Column

SOCKET = "auth-master"
NAMES = (
    *("hits", "misses", "hit_ratio_percent", "pos_entries", "neg_entries"),
    *("pos_size", "neg_size", "used_size", "max_size"),
)


def run(context: Context, arguments: Arguments) -> int:
    path = context.socket_path(arguments.text("socket-path"), SOCKET)
    with LookupPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LookupPeer)
        found = wire.parse_fields(peer.cache(b"CACHE-STATUS", *([b"reset"] if arguments.flag("reset") else [])))
    hits, misses = (int(found[name]) if found.get(name, "").isdigit() else 0 for name in ("hits", "misses"))
    ratio = f"{100 * hits / (hits + misses):.1f}" if hits + misses else "0.0"
    values = {**found, "hit_ratio_percent": ratio}
    context.rows([Column(name) for name in NAMES], [tuple(values.get(name, "0") for name in NAMES)])
    return 0


COMMAND = Command(
    "auth cache status",
    "show how full the authentication cache is and how often it helped",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default auth-master)", "path"),
        Option("r", "reset", FLAG, "count hits and misses from 0 again"),
    ),
    formatter="pager",
)
