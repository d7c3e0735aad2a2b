"""The PROXY protocol's header, version 1 (text) and 2 (binary): who a proxy's client is. Pure.

Source: haproxy's proxy-protocol.txt. Version 1 is one line of at most 107 octets, version 2 a signature of 12 octets,
4 octets of head and up to 65535 of addresses and TLVs; we take at most ``MAX_HEADER_OCTETS``.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from roost.errors import Malformed
from roost.ipc.handshake import is_number

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_MAX_OCTETS = 107
MAX_HEADER_OCTETS = 4096

_V2_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0, 1
_INET, _INET6 = 1, 2
_TLV_AUTHORITY, _TLV_SSL, _TLV_SSL_CN = 0x02, 0x20, 0x22
_CLIENT_SSL = 0x01


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the proxy said. Empty addresses: it speaks for itself (LOCAL, UNKNOWN), keep the socket's own."""

    octets: int  # length of the header: what follows belongs to the client
    remote_ip: str = ""
    remote_port: int = 0
    local_ip: str = ""
    local_port: int = 0
    tls: bool = False  # the client reached the proxy over TLS
    local_name: str = ""  # the server name the client asked for (SNI)
    certificate_name: str = ""  # common name of the client's verified certificate


def parse(data: bytes) -> ProxyHeader | None:
    """The header at the start of ``data``; None when more octets are needed. Raises Malformed."""
    if data[:12] == V2_SIGNATURE[: len(data)]:
        return None if len(data) < 16 else _parse_v2(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _parse_v1(data)
    raise Malformed("PROXY header expected.", detail=f"got {data[:20]!r}")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, V1_MAX_OCTETS)
    if end < 0:
        if len(data) >= V1_MAX_OCTETS:
            raise Malformed("PROXY header is too long.")
        return None
    words = data[:end].decode("latin-1").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return ProxyHeader(end + 2)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise Malformed("Invalid PROXY header.", detail=f"got {data[:end]!r}")
    version = 4 if words[1] == "TCP4" else 6
    return ProxyHeader(end + 2, _ip(words[2], version), _port(words[4]), _ip(words[3], version), _port(words[5]))


def _ip(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Malformed("Invalid PROXY header.", detail=f"bad address {text!r}") from None
    if address.version != version or "%" in text:
        raise Malformed("Invalid PROXY header.", detail=f"bad address {text!r}")
    return str(address)


def _port(text: str) -> int:
    if not is_number(text) or int(text) > 65535:
        raise Malformed("Invalid PROXY header.", detail=f"bad port {text!r}")
    return int(text)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    _signature, version_command, family_protocol, length = _V2_HEAD.unpack_from(data)
    total = _V2_HEAD.size + length
    if version_command >> 4 != 2 or total > MAX_HEADER_OCTETS:
        raise Malformed("Invalid PROXY header.", detail=f"version {version_command >> 4}, {total} octets")
    if len(data) < total:
        return None
    command, family = version_command & 15, family_protocol >> 4
    if command == _LOCAL:
        return ProxyHeader(total)
    if command != _PROXY:
        raise Malformed("Invalid PROXY header.", detail=f"command {command}")
    body = data[_V2_HEAD.size : total]
    width = {_INET: 4, _INET6: 16}.get(family, 0)
    if not width:
        return ProxyHeader(total)  # UNIX or unspecified: no addresses for us
    if len(body) < 2 * width + 4:
        raise Malformed("Invalid PROXY header.", detail="addresses cut short")
    remote, local = body[:width], body[width : 2 * width]
    remote_port, local_port = struct.unpack_from("!HH", body, 2 * width)
    tlvs = _tlvs(body[2 * width + 4 :])
    tls, name = _tls(tlvs.get(_TLV_SSL, b""))
    return ProxyHeader(
        total,
        str(ipaddress.ip_address(remote)),
        remote_port,
        str(ipaddress.ip_address(local)),
        local_port,
        tls,
        tlvs.get(_TLV_AUTHORITY, b"").decode("utf-8", "replace"),
        name,
    )


def _tls(value: bytes) -> tuple[bool, str]:
    """(client used TLS, common name of its verified certificate) from the PP2_TYPE_SSL value."""
    if len(value) < 5:
        return False, ""
    client, verify = struct.unpack_from("!BI", value)
    name = _tlvs(value[5:]).get(_TLV_SSL_CN, b"") if verify == 0 else b""
    return bool(client & _CLIENT_SSL), name.decode("utf-8", "replace")


def _tlvs(data: bytes) -> dict[int, bytes]:
    """Type → value, the last of equal types. Raises Malformed when one is cut short."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 3 > len(data):
            raise Malformed("Invalid PROXY header.", detail="TLV cut short")
        kind, length = struct.unpack_from("!BH", data, at)
        at += 3
        if at + length > len(data):
            raise Malformed("Invalid PROXY header.", detail="TLV cut short")
        found[kind] = data[at : at + length]
        at += length
    return found
