"""``allow_nets``: may this address log in?"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOCAL = "local"


@lru_cache(maxsize=1024)
def _networks(text: str) -> tuple[bool, tuple[Network, ...], tuple[str, ...]]:
    """Whether ``local`` is listed, the networks, and what is none."""
    local = False
    networks: list[Network] = []
    broken: list[str] = []
    for word in text.replace(",", " ").split():
        if word == LOCAL:
            local = True
            continue
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            broken.append(word)
    return local, tuple(networks), tuple(broken)


def refusal(field: str, text: str, remote_ip: str) -> str:
    """ "" when ``remote_ip`` ("" or no address: a local client) is allowed by the list, else the line for the log.

    An entry that is no network allows nobody.
    """
    local, networks, broken = _networks(text)
    address = address_of(remote_ip)
    if address is None:
        return "" if local else f"{field} check failed: Remote IP not known and 'local' missing"
    if any(address.version == network.version and address in network for network in networks):
        return ""
    suffix = f" (invalid network: {broken[0]})" if broken else ""
    return f"{field} check failed: IP {address} not in allowed networks{suffix}"


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None when the text is none (bad addresses of clients are ignored, not errors)."""
    if not text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
