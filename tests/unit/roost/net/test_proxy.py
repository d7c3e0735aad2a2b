"""PROXY headers, both versions: whole, octet by octet, hostile."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.net.proxy import MAX_HEADER_OCTETS, V2_SIGNATURE, ProxyHeader, parse

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\r\n"


def v2(command: int, family: int, body: bytes) -> bytes:
    return V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family << 4 | 1, len(body)) + body


def addresses(source: str, dest: str, source_port: int, dest_port: int) -> bytes:
    packed = ipaddress.ip_address(source).packed + ipaddress.ip_address(dest).packed
    return packed + struct.pack("!HH", source_port, dest_port)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


SSL_TLV = tlv(0x20, struct.pack("!BI", 5, 0) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"alice"))
V2 = v2(1, 1, addresses("192.0.2.1", "198.51.100.2", 1000, 993) + tlv(0x02, b"mail.example") + SSL_TLV)


def test_version_1() -> None:
    assert parse(V1 + b"a NOOP\r\n") == ProxyHeader(len(V1), "192.0.2.1", 56324, "198.51.100.2", 143)
    line = b"PROXY TCP6 2001:db8::1 2001:DB8:0::2 1 2\r\n"
    assert parse(line) == ProxyHeader(len(line), "2001:db8::1", 1, "2001:db8::2", 2)
    assert parse(b"PROXY UNKNOWN\r\n") == ProxyHeader(15)
    assert parse(b"PROXY UNKNOWN ff:: whatever 1 2\r\n") == ProxyHeader(33)


def test_version_2() -> None:
    assert parse(V2 + b"rest") == ProxyHeader(
        len(V2), "192.0.2.1", 1000, "198.51.100.2", 993, True, "mail.example", "alice"
    )
    six = v2(1, 2, addresses("2001:db8::1", "2001:db8::2", 1, 2))
    assert parse(six) == ProxyHeader(len(six), "2001:db8::1", 1, "2001:db8::2", 2)
    local = v2(0, 0, b"")
    assert parse(local) == ProxyHeader(16)
    unix = v2(1, 3, b"\0" * 216)
    assert parse(unix) == ProxyHeader(len(unix))


def test_an_unverified_certificate_names_nobody() -> None:
    ssl = tlv(0x20, struct.pack("!BI", 1, 1) + tlv(0x22, b"mallory"))
    header = parse(v2(1, 1, addresses("192.0.2.1", "192.0.2.2", 1, 2) + ssl))
    assert header is not None and header.tls and header.certificate_name == ""


@pytest.mark.parametrize("header", [V1, V2, b"PROXY UNKNOWN\r\n"])
def test_octet_by_octet(header: bytes) -> None:
    for cut in range(len(header)):
        assert parse(header[:cut]) is None
    found = parse(header)
    assert found is not None and found.octets == len(header)


@pytest.mark.parametrize(
    "data",
    [
        b"a1 CAPABILITY\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 143 9\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 70000 143\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 143\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1 143\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 143\r\n",
        b"PROXY " + b"x" * 200,
        V2_SIGNATURE + b"\x11\x11\x00\x00",
        V2_SIGNATURE + b"\x22\x11\x00\x00",
        V2_SIGNATURE + b"\x21\x11" + struct.pack("!H", MAX_HEADER_OCTETS),
        v2(1, 1, b"\0" * 11),
        v2(1, 1, b"\0" * 12 + b"\x02"),
        v2(1, 1, b"\0" * 12 + b"\x02\x00\x09short"),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: V2_SIGNATURE + b"\x21\x11" + tail)))
def test_any_octets_have_an_answer(data: bytes) -> None:
    try:
        found = parse(data)
    except Malformed:
        return
    assert found is None or 0 < found.octets <= len(data)
