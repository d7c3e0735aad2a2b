"""The auth-worker protocol: what one side writes, the other reads, whatever octets are in it."""

from __future__ import annotations

import string
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.ipc import auth_worker as wire
from roost.ipc.lines import LineSplitter

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["\t", "\n", "\0", "\x01t", "\udcff", "="])
NAMES = st.text(string.ascii_letters + "_-:", min_size=1, max_size=8)


def one(line: bytes) -> bytes:
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return line[:-1]


@settings(max_examples=200)
@given(
    st.sampled_from(["PASSV", "PASSW", "PASSL", "TOKEN", "USER", "LIST"]),
    st.binary(max_size=30),
    TEXTS,
    st.dictionaries(NAMES, TEXTS, max_size=4),
    st.integers(1, wire.MAX_ID),
)
def test_requests_arrive_as_sent(
    command: str, secret: bytes, stored: str, arguments: dict[str, str], request_id: int
) -> None:
    has_secret, has_stored = command not in ("USER", "LIST"), command == "PASSW"
    tail = wire.request_tail(
        command, "db1", arguments, secret=secret if has_secret else None, stored=stored if has_stored else None
    )
    got = wire.parse_request(one(wire.request_line(request_id, tail)))
    assert got == wire.Request(
        request_id, command, "db1", secret if has_secret else b"", stored if has_stored else "", arguments
    )


@settings(max_examples=200)
@given(
    st.sampled_from(["OK", "NEXT", "COMPARE", "FAIL"]),
    st.integers(-6, 1),
    TEXTS,
    TEXTS,
    TEXTS,
    st.dictionaries(NAMES, TEXTS, max_size=4),
)
def test_replies_arrive_as_sent(
    word: str, result: int, user: str, password: str, reason: str, fields: dict[str, str]
) -> None:
    reply = wire.Reply(7, word, result, user, password, reason, fields)
    request_id, rest = wire.split_reply(one(wire.reply_line(reply)))
    assert wire.parse_reply(request_id, rest) == reply


def test_the_lines_as_they_are() -> None:
    tail = wire.request_tail(wire.PASSV, "db1", {"user": "u1", "param_rip": "192.0.2.1"}, secret=b"p\tw\n")
    assert wire.request_line(3, tail) == b"3\tPASSV\tdb1\tp\x01tw\x01n\tuser=u1\tparam_rip=192.0.2.1\n"
    assert wire.request_tail(wire.USER, "db2", {"user": "u1"}) == b"USER\tdb2\tuser=u1\n"
    assert wire.cancel_line(9) == b"9\tCANCEL\n"
    assert wire.hash_line("a", "b") == b"DBHASH\ta\tb\n" and wire.parse_hashes(b"DBHASH\ta\tb") == ("a", "b")
    assert wire.reply_line(wire.Reply(3, wire.OK, 1, fields={"x": "y"})) == b"3\tOK\t1\t\t\t\tx=y\n"
    assert wire.reply_line(wire.Reply(3, wire.FAIL, 0, reason="no")) == b"3\tFAIL\t0\t\t\tno\n"
    assert wire.reply_line(wire.Reply(3, wire.NOTFOUND)) == b"3\tNOTFOUND\t\n"
    assert wire.parse_reply(3, b"NOTFOUND\t") == wire.Reply(3, wire.NOTFOUND, wire.RESULT_UNKNOWN)
    assert wire.name_line(4, "a\tb") == b"4\t*\ta\x01tb\n"
    request_id, rest = wire.split_reply(b"4\t*\ta\x01tb")
    assert request_id == 4 and wire.is_name(rest) and wire.parse_name(rest) == "a\tb"
    assert wire.limit_line(30) == b"PROCESS-LIMIT\t30\n"
    assert wire.split_reply(b"RESTART") == (0, b"RESTART") and wire.parse_state(b"RESTART") == ("RESTART", [])
    assert wire.info_line("db1", {"variables": "user,protocol"}) == b"INFO\tdb1\tvariables=user,protocol\n"
    word, arguments = wire.parse_state(b"INFO\tdb1\tvariables=user,protocol\tdecoy=")
    assert word == wire.INFO and wire.parse_info(arguments) == ("db1", {"variables": "user,protocol", "decoy": ""})
    assert wire.parse_request(b"9\tCANCEL") == wire.Request(9, "CANCEL")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"1",
        b"x\tUSER\tdb",
        b"0\tUSER\tdb",
        b"4294967296\tUSER\tdb",
        b"-1\tUSER\tdb",
        b"1\tNOSUCH\tdb",
        b"1\tUSER",
        b"1\tPASSV\tdb",
        b"1\tPASSW\tdb\tsecret",
        "²\tUSER\tdb".encode(),
    ],
)
def test_broken_requests(line: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        wire.parse_request(line)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rest", [b"", b"WHAT\t1", b"OK", b"OK\t1", b"OK\tx\t\t\t", b"FAIL\t1\t\t", b"FAIL\t--1\t\t\t"])
def test_broken_replies(rest: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_reply(1, rest)


@pytest.mark.parametrize("line", [b"DBHASH", b"DBHASH\ta", b"DBHASH\ta\tb\tc", b"1\tUSER\tdb", b""])
def test_broken_greetings(line: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_hashes(line)


def test_no_secret_is_shown() -> None:
    request = wire.parse_request(b"1\tPASSW\tdb\tmysecret\t{PLAIN}mystored\tpass=alsosecret")
    reply = wire.Reply(1, wire.OK, 1, "u", "mysecret", "", {"pass": "alsosecret"})
    assert "secret" not in repr(request) and "mystored" not in repr(request) and "secret" not in repr(reply)


STREAM = (
    wire.hash_line("a", "b")
    + wire.request_line(1, wire.request_tail(wire.PASSV, "db", {"user": "u\n1"}, secret=b"\0\t\x01\r\n"))
    + wire.request_line(2, wire.request_tail(wire.LIST, "db", {}))
    + wire.cancel_line(2)
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("places", [[], list(range(len(STREAM))), *(Random(n).sample(range(99), 9) for n in range(20))])
def test_however_it_is_cut(places: list[int]) -> None:
    splitter = LineSplitter(wire.MAX_LINE_OCTETS)
    lines = [line for chunk in cut(STREAM, places) for line in splitter.feed(chunk)]
    assert wire.parse_hashes(lines[0]) == ("a", "b")
    got = [wire.parse_request(line) for line in lines[1:]]
    assert [(one.id, one.command, one.secret) for one in got] == [
        (1, "PASSV", b"\0\t\x01\r\n"),
        (2, "LIST", b""),
        (2, "CANCEL", b""),
    ]
    assert got[0].arguments == {"user": "u\n1"}
