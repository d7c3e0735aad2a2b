"""Paths and mailboxes: every form answered, never an exception other than Malformed; linear time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.smtp.address import (
    NULL,
    Address,
    format_mailbox,
    parse_domain,
    parse_mailbox,
    parse_path,
    split_detail,
)

GOOD = {
    b"<>": NULL,
    b"<a@b>": Address("a", "b", "a@b"),
    b"<Postmaster>": Address("Postmaster", "", "Postmaster"),
    b"<a.b+c@d.example>": Address("a.b+c", "d.example", "a.b+c@d.example"),
    b"<..a..@b>": Address("..a..", "b", "..a..@b"),
    b"<@r1,@r2.example:a@b>": Address("a", "b", "a@b"),
    b'<"a b"@c>': Address("a b", "c", '"a b"@c'),
    b'<"">': Address("", "", '""'),
    b'<""@c>': Address("", "c", '""@c'),
    b'<"a\\"b\\\\@"@c>': Address('a"b\\@', "c", '"a\\"b\\\\@"@c'),
    b"<a@[127.0.0.1]>": Address("a", "[127.0.0.1]", "a@[127.0.0.1]"),
    b"<a@[IPv6:::1]>": Address("a", "[IPv6:::1]", "a@[IPv6:::1]"),
    "<jörg@bücher.example>".encode(): Address("jörg", "bücher.example", "jörg@bücher.example"),
    b"<%{user}/../x@b>": Address("%{user}/../x", "b", "%{user}/../x@b"),
}

BAD = [
    b"", b"<", b">", b"a@b", b"<a@b", b"a@b>", b"<a b@c>", b"<a@b c>", b"<a@>", b"<@b>", b"<@r:>", b"<a@@b>",
    b"<a@b@c>", b'<"a@b>', b'<"a"b@c>', b'<"a\x00"@b>', b'<"a\r\n"@b>', b"<a\r@b>", b"<a\x00@b>", b"<a\t@b>",
    b"<a@b..c>", b"<a@.b>", b"<a@[>", b"<a@[]>", b"<a@[a[b]>", b"<a@b>x", b"<a@b>>", b"<<a@b>>", b"<\xff@b>",
    b"<a@\xff>", b"<(c)a@b>", b"<a,b@c>", "<a\x85b@c>".encode(), "<a\u202eb@c>".encode(),
    "<a@b\u0085>".encode(), b'<"\x7f"@b>', b'<"a\\\n"@b>',
]  # fmt: skip


@pytest.mark.parametrize("octets", GOOD)
def test_good(octets: bytes) -> None:
    assert parse_path(octets, 0) == (GOOD[octets], len(octets))
    assert parse_path(b"FROM:" + octets + b" SIZE=1", 5) == (GOOD[octets], 5 + len(octets))


@pytest.mark.parametrize("octets", BAD)
def test_bad(octets: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_path(octets, 0)
    assert caught.value.code == "BAD_ADDRESS"


def test_workarounds() -> None:
    assert parse_path(b"  <a@b>", 0, space_before=True)[0].text == "a@b"
    assert parse_path(b"a@b SIZE=1", 0, without_brackets=True) == (Address("a", "b", "a@b"), 3)
    for octets in (b" <a@b>", b" a@b"):
        with pytest.raises(Malformed):
            parse_path(octets, 0)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_octets_are_answered(octets: bytes) -> None:
    for candidate in (octets, b"<" + octets + b">", b'<"' + octets + b'"@x>'):
        try:
            address, _ = parse_path(candidate, 0)
        except Malformed:
            continue
        assert "\r" not in address.text
        assert "\n" not in address.text
        assert "\x00" not in address.text


@settings(max_examples=200)
@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=30))
def test_format_and_parse_agree(local: str) -> None:
    wire = format_mailbox(local, "example.org")
    address = parse_mailbox(wire.encode())
    assert (address.local, address.domain, address.text) == (local, "example.org", wire)


@pytest.mark.parametrize(
    "octets",
    [
        b"<" + b"a" * 200_000,
        b"<" + b"a." * 100_000 + b"@",
        b"<a@" + b"b." * 100_000,
        b"<" + b"@r," * 60_000 + b":a@b>",
        b'<"' + b"\\a" * 100_000,
        b"<a@[" + b"x" * 200_000,
    ],
)
def test_hostile_length_is_answered(octets: bytes) -> None:
    with pytest.raises(Malformed):
        parse_path(octets, 0)


def test_domain() -> None:
    assert parse_domain(b"mx_1.example.org") == "mx_1.example.org"
    assert parse_domain(b"[192.0.2.1]") == "[192.0.2.1]"
    for octets in (b"", b"a b", b"a\r", b"a\x00", b"-\xff", b"(x)", b"<x>", b".", b"a;b"):
        with pytest.raises(Malformed):
            parse_domain(octets)


@pytest.mark.parametrize(
    ("local", "delimiters", "user", "detail"),
    [
        ("u+d", "+", "u", "d"),
        ("u", "+", "u", ""),
        ("u+", "+", "u", ""),
        ("u+a+b", "+", "u", "a+b"),
        ("u-a+b", "+-", "u", "a+b"),
        ("+x", "+", "+x", ""),
        ("+x+y", "+", "+x", "y"),
        ("u+d", "", "u+d", ""),
        ("", "+", "", ""),
    ],
)
def test_split_detail(local: str, delimiters: str, user: str, detail: str) -> None:
    assert split_detail(local, delimiters) == (user, detail)
