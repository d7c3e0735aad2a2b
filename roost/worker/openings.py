"""What happens on a listener's connections before the room's ``ready``: the PROXY header, then implicit TLS."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from roost.errors import Malformed
from roost.events.log import Log
from roost.net.connection import Connection
from roost.net.peer import Peer
from roost.net.proxy import ProxyHeader, parse
from roost.net.tls import ServerTls

Opening = Callable[[Connection], None]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain(connection: Connection) -> None:
    """Nothing before the room."""
    connection.ready()


def implicit_tls(tls: ServerTls) -> Opening:
    """TLS from the first octet."""

    def begin(connection: Connection) -> None:
        connection.start_tls(tls.context)

    return begin


def proxied(networks: Sequence[str], timeout_secs: float, tls: ServerTls | None, log: Log) -> Opening:
    """The PROXY header of a trusted proxy, then TLS if ``tls``, else the room."""
    trusted = compile_networks(networks)

    def begin(connection: Connection) -> None:
        ip = connection.peer.remote_ip
        if not is_within(ip, trusted):
            log.warning(f"haproxy: Client not trusted (rip={ip})")
            connection.abort()
            return
        header = bytearray()

        def late() -> None:
            log.warning(f"haproxy: Client timed out (rip={ip})")
            connection.abort()

        def take(chunk: memoryview) -> None:
            header.extend(chunk)
            try:
                found = parse(bytes(header))
            except Malformed as error:
                log.warning(f"haproxy: {error} (rip={ip})")
                connection.abort()
                return
            if found is not None:
                connection.cancel_deadline()
                _continue(connection, found, bytes(header[found.octets :]), tls)

        connection.set_deadline(timeout_secs, late)
        connection.divert(take)

    return begin


def _continue(connection: Connection, header: ProxyHeader, rest: bytes, tls: ServerTls | None) -> None:
    if header.remote_ip:
        connection.peer = Peer(header.remote_ip, header.remote_port, header.local_ip, header.local_port)
    if tls is not None:
        connection.start_tls(tls.context, rest)
        return
    connection.secured = header.tls
    connection.divert(None)
    connection.ready()
    if rest and not connection.closing:
        connection.data(memoryview(rest))


def compile_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and prefixes; host bits are ignored. Raises ValueError (the settings have checked them)."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in networks)


def is_within(ip: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)
