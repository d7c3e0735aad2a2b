"""Parameters of MAIL and RCPT, and xtext."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.smtp.params import decode_xtext, parse, size_value

KNOWN = frozenset({"SIZE", "BODY", "SMTPUTF8"})


def test_parse() -> None:
    assert parse(b"", KNOWN) == {}
    assert parse(b" ", KNOWN) == {}
    assert parse(b"size=12 Body=8BITMIME SMTPUTF8", KNOWN) == {"SIZE": "12", "BODY": "8BITMIME", "SMTPUTF8": None}


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"FOO=1", "UNKNOWN_PARAMETER"),
        (b"FOO", "UNKNOWN_PARAMETER"),
        (b"SIZE=1 SIZE=1", "BAD_SYNTAX"),
        (b"SIZE=", "BAD_SYNTAX"),
        (b"=1", "BAD_SYNTAX"),
        (b"-SIZE=1", "BAD_SYNTAX"),
        (b"SIZE=1=2", "BAD_SYNTAX"),
        (b"SIZE=\x00", "BAD_SYNTAX"),
        (b"\xff", "BAD_SYNTAX"),
        (b"<a@b>", "BAD_SYNTAX"),
    ],
)
def test_refused(octets: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(octets, KNOWN)
    assert caught.value.code == code


def test_many_parameters_are_refused() -> None:
    names = {f"P{i}" for i in range(100)}
    with pytest.raises(Malformed):
        parse(b" ".join(n.encode() for n in sorted(names)), names)


def test_size() -> None:
    assert size_value("0") == 0
    assert size_value("18446744073709551616") == 2**64
    for bad in (None, "", "-1", "+1", "1k", "٣", "1" * 21):
        with pytest.raises(Malformed):
            size_value(bad)


def test_xtext() -> None:
    assert decode_xtext("a+2Bb@c+20d") == "a+b@c d"
    for bad in ("", "+", "+2", "+2b", "a+", "a b", "+0D+0A", "+00", "+FF", "ä"):
        with pytest.raises(Malformed):
            decode_xtext(bad)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_any_octets_are_answered(octets: bytes) -> None:
    try:
        found = parse(octets, KNOWN)
    except Malformed:
        return
    assert set(found) <= KNOWN
