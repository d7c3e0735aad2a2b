"""APPEND's arguments: the short way for a message without flags and date reads what the long way reads."""

from __future__ import annotations

import pytest

from roost.errors import RoostError
from roost.imap.args import Args
from roost.imap.assembler import Complete
from services.imap.commands.append import ToAppend, parse


def parsed(raw: bytes) -> ToAppend | str:
    args = Args(Complete(raw, (b"octets",)))
    args.pos = len(b"a APPEND")
    try:
        return parse(args)
    except RoostError as exc:
        return exc.client_text


@pytest.mark.parametrize(
    "name",
    [
        b"INBOX",
        b"inbox",
        b"a/b.c_d-e",
        b'"Sent Items"',
        b'"a"',
        b'"inbox/x"',
        b"NIL",
        b'"&"',
        b"&AOQ-",
        b'""',
        b"a(b",
        b'"a"b',
    ],
)
def test_short_and_long_way_agree(name: bytes) -> None:
    assert parsed(b"a APPEND " + name + b" \n") == parsed(b"a APPEND " + name + b" () \n")


@pytest.mark.parametrize("rest", [b"x\n", b"x  \n", b"x \n x", b"x ~\n", b"x", b" \n", b""])
def test_what_is_no_simple_append_is_not_taken_for_one(rest: bytes) -> None:
    found = parsed(b"a APPEND " + rest)
    if rest in (b"x  \n",):
        assert isinstance(found, ToAppend) and found.name == "x"
    else:
        assert isinstance(found, str)
