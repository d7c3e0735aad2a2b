"""The authentication protocols' lines: exact forms, hostile fields, what ends a connection."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc import auth as wire

AUTH = [b"1", b"plain", b"service=imap"]


def test_auth_with_every_form_of_the_initial_response() -> None:
    assert wire.parse_auth(AUTH, 4).initial is None
    assert wire.parse_auth([*AUTH, b"resp="], 4).initial == b""
    assert wire.parse_auth([*AUTH, b"resp="], 1).initial is None
    assert wire.parse_auth([*AUTH, b"resp=="], 1).initial == b""
    assert wire.parse_auth([*AUTH, b"resp=AHUAcA=="], 4).initial == b"\0u\0p"
    broken = wire.parse_auth([*AUTH, b"resp=AHUAcA="], 4)
    assert broken.initial is None and broken.bad_base64


def test_auth_parameters_and_names() -> None:
    command = wire.parse_auth([b"4294967295", b"login", b"protocol=imap", b"secured", b"session=a\x01tb", b"rip="], 4)
    assert command.id == 2**32 - 1
    assert command.mechanism == "LOGIN"
    assert command.parameters == {"protocol": "imap", "secured": "", "session": "a\tb", "rip": ""}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [b"1"],
        [b"1", b"PLAIN"],
        [b"0", b"PLAIN", b"service=imap"],
        [b"4294967296", b"PLAIN", b"service=imap"],
        [b"-1", b"PLAIN", b"service=imap"],
        [b"1x", b"PLAIN", b"service=imap"],
        [b"", b"PLAIN", b"service=imap"],
        ["١".encode(), b"PLAIN", b"service=imap"],
        [b"9" * 5000, b"PLAIN", b"service=imap"],
        [b"1", b"PLAIN", b"secured"],
        [b"1", b"PLAIN", b"service="],
        [b"1", b"PLAIN", b"service=imap", b"resp=AA==", b"secured"],
    ],
)
def test_what_ends_a_connection(arguments: list[bytes]) -> None:
    with pytest.raises(Malformed):
        wire.parse_auth(arguments, 4)


@pytest.mark.parametrize("arguments", [[], [b"1"], [b"2", b"0"], [b"1", b"x"], [b"01", b"4"], [b"1", b"9" * 50]])
def test_incompatible_versions(arguments: list[bytes]) -> None:
    with pytest.raises(Malformed):
        wire.parse_version(arguments)


def test_the_greeting_both_ways() -> None:
    hello = wire.server_hello({"PLAIN": {"plaintext"}, "X": ["active", "private"]}, 812, 17, bytes(range(16)))
    assert hello == (
        b"MECH\tPLAIN\tplaintext\nMECH\tX\tprivate\tactive\nSPID\t812\nCUID\t17\n"
        b"COOKIE\t000102030405060708090a0b0c0d0e0f\nDONE\n"
    )
    handshake = wire.ClientHandshake()
    for line in (wire.VERSION_LINE + hello).splitlines():
        assert not handshake.done
        handshake.take(line)
    assert handshake.done and handshake.minor == 4 and handshake.spid == 812 and handshake.cuid == 17
    assert handshake.mechanisms == {"PLAIN": frozenset({"plaintext"}), "X": frozenset({"active", "private"})}
    assert wire.client_hello(4711) == b"VERSION\t1\t4\nCPID\t4711\n"


def test_a_greeting_may_come_in_any_order_but_not_without_a_version() -> None:
    handshake = wire.ClientHandshake()
    for line in (b"COOKIE\tab", b"SPID\t9", b"NEWS\tx", b"MECH\tPLAIN", b"VERSION\t1\t1", b"DONE"):
        handshake.take(line)
    assert handshake.done
    with pytest.raises(Malformed):
        wire.ClientHandshake().take(b"DONE")
    with pytest.raises(Malformed):
        wire.ClientHandshake().take(b"VERSION\t2\t0")


def test_replies() -> None:
    assert wire.ok_line(7, "u", wire.fields_octets({"a": "b", "anonymous": None})) == b"OK\t7\tuser=u\ta=b\tanonymous\n"
    assert wire.fail_line(7) == b"FAIL\t7\n"
    assert (
        wire.fail_line(7, user="a\tb", code="temp_fail", reason="no\nway")
        == b"FAIL\t7\tuser=a\x01tb\tcode=temp_fail\treason=no\x01nway\n"
    )
    assert wire.found_line(b"USER", 3, b"\tuid=1", "n") == b"USER\t3\tn\tuid=1\n"
    assert wire.found_line(b"PASS", 3, b"\tuser=n") == b"PASS\t3\tuser=n\n"
    assert wire.not_found_line(3) == b"NOTFOUND\t3\n"
    assert wire.list_line(5, "a*", b"\tservice=x") == b"LIST\t5\tuser=a*\tservice=x\n"


def test_connection_parameters() -> None:
    assert (
        wire.connection_parameters(
            service="imap",
            session="s\tx",
            local_ip="192.0.2.1",
            local_port=143,
            remote_ip="2001:db8::1",
            remote_port=5,
            secured="tls",
        )
        == b"\tservice=imap\tsecured=tls\tsession=s\x01tx\tlip=192.0.2.1\trip=2001:db8::1\tlport=143\trport=5"
    )
    assert wire.connection_parameters(service="lmtp", secured="yes") == b"\tservice=lmtp\tsecured"


def test_lines_that_would_be_too_long_are_not_sent() -> None:
    with pytest.raises(Malformed):
        wire.auth_line(1, b"PLAIN", b"\tservice=x", b"\0u\0" + b"p" * 16384)
    with pytest.raises(Malformed):
        wire.continue_line(1, b"p" * 16384)
    with pytest.raises(Malformed):
        wire.lookup_line(b"USER", 1, "u" * 17000, b"\tservice=x")


@given(st.dictionaries(st.text(max_size=12).filter(lambda key: "=" not in key), st.text(max_size=30), max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_field_can_start_another_field_or_line(fields: dict[str, str]) -> None:
    octets = wire.fields_octets(dict(fields))
    assert b"\n" not in octets and octets.count(b"\t") == len(fields)
    if octets.strip(b"\t"):
        assert wire.parse_fields(octets[1:].split(b"\t")) == fields


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_octets_that_are_no_text_survive(octets: bytes) -> None:
    line = wire.lookup_line(b"USER", 1, octets.decode("utf-8", "surrogateescape"), b"\tservice=x")
    assert line.count(b"\n") == 1 and line.count(b"\t") == 3
    command = wire.parse_lookup(line[:-1].split(b"\t")[1:])
    assert command.name.encode("utf-8", "surrogateescape") == octets


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_base64_is_strict_and_round_trips(octets: bytes) -> None:
    assert wire.decode_base64(wire.encode_base64(octets)) == octets
    found = wire.decode_base64(octets)
    # stray bits of the last character are let through; nothing else that is not canonical
    assert found is None or base64.b64encode(found)[: len(octets) // 4 * 4 - 4] == octets[:-4]


@given(st.lists(st.binary(max_size=20), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_arguments_are_a_command_or_malformed(arguments: list[bytes]) -> None:
    for parse in (
        lambda: wire.parse_auth(arguments, 4),
        lambda: wire.parse_lookup(arguments),
        lambda: wire.parse_list(arguments),
    ):
        try:
            parse()
        except Malformed:
            pass
