"""doveadm who: who is logged in, from anvil (docs/protocols/anvil.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from roost.errors import Malformed, Unavailable
from roost.ipc import anvil
from roost.ipc.handshake import check_version, version_line
from roost.ipc.lines import encode
from roost.util.wildcard import matches
from services.doveadm.arguments import Arguments, Usage
from services.doveadm.command import FLAG, TEXT, Command, Option, Positional
from services.doveadm.context import Context
from services.doveadm.output import Column
from services.doveadm.peer import Peer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GROUPED = (
    Column("username"),
    Column("connections", "#", right=True),
    Column("service"),
    Column("pids", "(pids)"),
    Column("ips", "(ips)"),
)
SEPARATE = (
    Column("username", expand=True),
    Column("service"),
    Column("pid"),
    Column("ip"),
    Column("dest_ip"),
    Column("session"),
)


def run(context: Context, arguments: Arguments) -> int:
    context.formatter = arguments.text("format", context.formatter)
    masks, network = filters(arguments.list("mask"))
    path = context.socket_path(arguments.text("socket-path"), "anvil")
    rows = [row for row in sessions(path, context.timeout_secs) if wanted(row, masks, network)]
    if arguments.flag("separate-connections"):
        context.rows(
            SEPARATE, ((row.user, row.service, str(row.pid), row.remote_ip, "", row.session_id) for row in rows)
        )
    else:
        context.rows(GROUPED, grouped(rows))
    return 0


def sessions(path: str, timeout_secs: float) -> list[anvil.SessionRow]:
    """Every session anvil knows. Raises Unavailable."""
    with Peer(path, "anvil", timeout_secs) as peer:
        peer.send(version_line(anvil.CLIENT, anvil.MAJOR, anvil.MINOR) + b"\n" + encode("CONNECT-DUMP"))
        rows = []
        try:
            check_version(peer.line(), anvil.SERVER, anvil.MAJOR)
            peer.line()  # the alternative user fields: there are none yet
            while line := peer.line():
                rows.append(anvil.parse_row(line))
        except Malformed as error:
            raise Unavailable(f"anvil does not speak our language ({path}): {error}") from None
    return rows


def filters(words: Iterable[str]) -> tuple[list[str], Network | None]:
    """User masks, and the one network. Raises Usage."""
    masks: list[str] = []
    network: Network | None = None
    for word in words:
        try:
            found = None if word.isdigit() else ipaddress.ip_network(word, strict=False)
        except ValueError:
            found = None
        if found is None:
            masks.append(word)
        elif network is not None:
            raise Usage("Multiple network masks not supported")
        else:
            network = found
    return masks, network


def wanted(row: anvil.SessionRow, masks: list[str], network: Network | None) -> bool:
    if masks and not any(matches(mask, row.user) for mask in masks):
        return False
    if network is None:
        return True
    try:
        return ipaddress.ip_address(row.remote_ip) in network
    except ValueError:
        return False


def grouped(rows: Iterable[anvil.SessionRow]) -> Iterator[tuple[str, ...]]:
    """One row a user and service, in the order they are first seen."""
    groups: dict[tuple[str, str], list[anvil.SessionRow]] = {}
    for row in rows:
        groups.setdefault((row.user, row.service), []).append(row)
    for (user, service), members in groups.items():
        pids = " ".join(dict.fromkeys(str(row.pid) for row in members))
        ips = " ".join(dict.fromkeys(row.remote_ip for row in members if row.remote_ip))
        yield user, str(len(members)), service, f"({pids})", f"({ips})"


COMMAND = Command(
    "who",
    "show who is logged in",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default anvil)", "path"),
        Option("f", "format", TEXT, "formatter, like the global -f", "formatter"),
        Option("1", "separate-connections", FLAG, "one row a connection"),
    ),
    positionals=(Positional("mask", needed=False, many=True),),
    formatter="table",
)
