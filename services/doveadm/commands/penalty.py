"""doveadm penalty: which addresses wait before they may try to log in again (docs/auth.md)."""

from __future__ import annotations

import ipaddress
import time

from roost.errors import Malformed, Unavailable
from roost.ipc import anvil
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import decode_text, encode
from services.doveadm.arguments import Arguments, Usage
from services.doveadm.command import TEXT, Command, Option, Positional
from services.doveadm.context import Context
from services.doveadm.output import Column
from services.doveadm.peer import Peer

COLUMNS = (Column("IP"), Column("penalty"), Column("last_penalty"), Column("last_update"))


def run(context: Context, arguments: Arguments) -> int:
    network = None
    if mask := arguments.text("netmask"):
        try:
            network = ipaddress.ip_network(mask, strict=False)
        except ValueError:
            raise Usage(f"Invalid network mask: {mask}") from None
    path = context.socket_path(arguments.text("socket-path"), "anvil")
    rows = [row for row in penalties(path, context.timeout_secs) if network is None or _within(row.address, network)]
    context.rows(
        COLUMNS,
        (
            (
                row.address,
                str(row.level),
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.risen)),
                time.strftime("%H:%M:%S", time.localtime(row.updated)),
            )
            for row in rows
        ),
    )
    return 0


def penalties(path: str, timeout_secs: float) -> list[anvil.PenaltyRow]:
    """Every address with failures. Raises Unavailable."""
    with Peer(path, "anvil", timeout_secs) as peer:
        peer.send(version_line(anvil.CLIENT, anvil.MAJOR, anvil.MINOR) + b"\n" + encode(anvil.PENALTY_DUMP))
        rows = []
        try:
            check_version(peer.line(), anvil.SERVER, anvil.MAJOR)
            while line := peer.line():
                rows.append(anvil.parse_penalty(decode_text(line)))
        except Malformed as error:
            raise Unavailable(f"anvil does not speak our language ({path}): {error}") from None
    return rows


def _within(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


COMMAND = Command(
    "penalty",
    "show which addresses wait after failed logins",
    run,
    options=(Option("a", "socket-path", TEXT, "socket to ask (default anvil)", "path"),),
    positionals=(Positional("netmask", needed=False),),
    formatter="table",
)
