"""Connection filters: ``protocol``, ``local``, ``local_name`` and ``remote`` blocks, when they match and which wins.

The most specific match wins whatever the order in the file: the longer local network, then the more exact local name,
then the longer remote network, then a protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from roost.settings.values import parse_network

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

ORDER = ("local", "local_name", "remote", "protocol")
"""Outermost first: how the blocks must be nested."""

PROTOCOLS = frozenset({"doveadm", "imap", "indexer-worker", "lda", "lmtp", "pop3", "sieve", "submission"})
"""What ``protocol`` blocks may name: also those that only Dovecot speaks, whose blocks then never match."""


@dataclass(frozen=True)
class Conditions:
    """What all must hold; "" = any. ``protocol`` may begin with ``!``. Networks are canonical CIDR text."""

    local: str = ""
    local_name: str = ""
    remote: str = ""
    protocol: str = ""

    def covers(self, other: Conditions) -> bool:
        """Whether every connection that fulfils ``other`` fulfils these too."""
        return (
            self.protocol in ("", other.protocol)
            and self.local_name in ("", other.local_name)
            and _inside(other.local, self.local)
            and _inside(other.remote, self.remote)
        )

    @property
    def specificity(self) -> tuple[int, int, int, int]:
        """Higher wins."""
        return (
            network(self.local).prefixlen + 1 if self.local else 0,
            0 if not self.local_name else 1 if "*" in self.local_name else 2,
            network(self.remote).prefixlen + 1 if self.remote else 0,
            0 if not self.protocol else 1 if self.protocol[0] == "!" else 2,
        )


ALWAYS = Conditions()


@dataclass(frozen=True)
class Connection:
    """Facts of one connection; "" or None = not known."""

    protocol: str = ""
    local_ip: str | None = None
    local_name: str | None = None
    remote_ip: str | None = None


def matches(conditions: Conditions, connection: Connection) -> bool:
    """Whether a connection fulfils all conditions. A fact that is not known fulfils none."""
    wanted = conditions.protocol
    if wanted:
        if wanted[0] == "!":
            if connection.protocol == wanted[1:]:
                return False
        elif connection.protocol != wanted:
            return False
    if conditions.local_name and not name_matches(conditions.local_name, (connection.local_name or "").lower()):
        return False
    if conditions.local and not _contains(conditions.local, connection.local_ip):
        return False
    return not conditions.remote or _contains(conditions.remote, connection.remote_ip)


def name_matches(pattern: str, name: str) -> bool:
    """``*.example.org`` matches one label in the place of ``*``; names are lower case."""
    if "*" not in pattern:
        return pattern == name
    wanted, labels = pattern.split("."), name.split(".")
    return len(wanted) == len(labels) and all(a in ("*", b) for a, b in zip(wanted, labels, strict=True))


def narrowed(outer: Conditions, kind: str, argument: str) -> list[Conditions]:
    """The conditions inside ``kind argument { … }`` within ``outer``: several if a host name has several addresses.

    Raises ValueError with the reason for a wrong argument or a wrong nesting.
    """
    for inner in ORDER[ORDER.index(kind) + 1 :]:
        if getattr(outer, inner):
            raise ValueError(f"{inner} {{ {kind} {{ .. }} }} not allowed (use {kind} {{ {inner} {{ .. }} }} instead)")
    if kind in ("protocol", "local_name") and getattr(outer, kind):
        raise ValueError(f"Nested {kind} {{ {kind} {{ .. }} }} block not allowed")
    if kind == "protocol":
        name = argument.removeprefix("!")
        if name not in PROTOCOLS:
            raise ValueError(f"Unknown protocol: {name} (there are {', '.join(sorted(PROTOCOLS))})")
        return [replace(outer, protocol=argument)]
    if kind == "local_name":
        if " " in argument or "," in argument:
            raise ValueError("Multiple names no longer supported in local_name value")
        return [replace(outer, local_name=argument.lower())]
    found = [replace(outer, **{kind: text}) for text in _networks(argument)]
    for conditions in found:
        if not _inside(getattr(conditions, kind), getattr(outer, kind)):
            raise ValueError(
                f"{kind} {getattr(outer, kind)} {{ {kind} {argument} {{ .. }} }} requires {argument} to be inside "
                f"{getattr(outer, kind)}"
            )
    return found


def _networks(argument: str) -> list[str]:
    try:
        return [parse_network(argument)]
    except ValueError:
        if "/" in argument or not argument.strip("[]:.0123456789"):
            raise
    import socket  # only configurations with host names pay for it

    try:
        found = socket.getaddrinfo(argument, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"Invalid network mask: {argument} (and as a host name: {error.strerror})") from None
    return sorted({parse_network(str(address[4][0]).partition("%")[0]) for address in found})


@lru_cache(maxsize=1024)
def network(text: str) -> IPv4Network | IPv6Network:
    """The network object of canonical CIDR text."""
    import ipaddress  # only configurations with networks pay for it

    return ipaddress.ip_network(text)


def _inside(inner: str, outer: str) -> bool:
    if not outer:
        return True
    if not inner:
        return False
    a, b = network(inner), network(outer)
    return a.version == b.version and a.prefixlen >= b.prefixlen and a.network_address in b


def _contains(text: str, address: str | None) -> bool:
    if not address:
        return False
    import ipaddress

    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip in network(text)
