"""HTTP responses: whole, octet by octet, at random cuts; the fast pattern against h11; hostile shapes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.net.http import response as module
from roost.net.http.response import BodyError, Limits, Reply, ResponseReader

GOOD = {
    "usual": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "empty": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "blanks": b"HTTP/1.1 200 OK\r\nX-A: \t two  words \t\r\ncontent-length:  2 \r\n\r\nok",
    "close": b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok",
    "close-ish": b"HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 2\r\n\r\nok",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "half bare": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "204": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    "same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "8 bit": b"HTTP/1.1 200 \xe9\r\nX: \xff\r\nContent-Length: 2\r\n\r\nok",
}

BAD = {
    "garbage": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "hex length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "blank before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "no colon": b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nok",
    "empty name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bad version": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "status of four": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status word": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    "chunk without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
}


def read(
    pieces: list[bytes], method: bytes = b"GET", limits: Limits | None = None
) -> tuple[Reply | None, ResponseReader]:
    reader = ResponseReader(limits or Limits())
    reader.expect(method)
    reply = None
    for piece in pieces:
        found = reader.feed(piece)
        reply = reply or found
    return reply, reader


def facts(reply: Reply | None) -> tuple[object, ...] | None:
    return reply and (reply.status, reply.reason, reply.headers, reply.body, reply.keep)


def slow(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...] | None:
    """What h11 makes of it."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "_USUAL_HEAD", re.compile(rb"(?!)"))
        return facts(read([octets])[0])


@pytest.mark.parametrize("octets", GOOD.values(), ids=GOOD)
def test_good(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = facts(read([octets])[0])
    assert whole is not None
    assert whole == slow(octets, monkeypatch)
    assert whole == facts(read([octets[at : at + 1] for at in range(len(octets))])[0])


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_bad(octets: bytes) -> None:
    for pieces in ([octets], [octets[at : at + 1] for at in range(len(octets))]):
        with pytest.raises(Malformed):
            read(pieces)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(GOOD)), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_random_cuts(name: str, cuts: list[int]) -> None:
    octets = GOOD[name]
    at = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    pieces = [octets[a:b] for a, b in pairwise(at) if a < b]
    assert facts(read(pieces)[0]) == facts(read([octets])[0])


@settings(max_examples=200, deadline=None)
@given(
    base=st.sampled_from(sorted({**GOOD, **BAD})),
    at=st.integers(0, 90),
    with_=st.binary(min_size=0, max_size=3),
    length=st.integers(0, 3),
)
def test_the_pattern_accepts_nothing_that_h11_refuses(base: str, at: int, with_: bytes, length: int) -> None:
    octets = {**GOOD, **BAD}[base]
    octets = octets[:at] + with_ + octets[at + length :]
    try:
        fast = facts(read([octets])[0])
    except Malformed:
        return
    monkeypatch = pytest.MonkeyPatch()
    assert slow(octets, monkeypatch) == fast


def test_head_and_connect_have_no_body() -> None:
    reply, reader = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], b"HEAD")
    assert reply is not None and reply.body == b"" and reply.keep and not reader.surplus
    reply, reader = read([b"HTTP/1.1 200 OK\r\n\r\n"], b"CONNECT")
    assert reply is not None and reply.status == 200


def test_many_on_one_connection() -> None:
    reader = ResponseReader(Limits())
    for octets in GOOD.values():
        reader.expect(b"GET")
        reply = reader.feed(octets)
        assert reply is not None
    assert not reader.surplus


def test_what_follows_unasked_ends_keeping() -> None:
    for octets in (GOOD["usual"], GOOD["chunked"]):
        reply, reader = read([octets + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
        assert reply is not None and not reply.keep and reader.surplus
        assert b"evil" not in reply.body


def test_length_beside_chunked_is_read_as_chunked_and_not_kept() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    reply, _ = read([octets])
    assert reply is not None and reply.body == b"ok" and not reply.keep


def test_body_until_the_end_of_the_connection() -> None:
    reply, reader = read([b"HTTP/1.1 200 OK\r\n\r\n", b"some ", b"text"])
    assert reply is None
    reply = reader.eof()
    assert reply is not None and reply.body == b"some text" and not reply.keep


def test_cut_short() -> None:
    with pytest.raises(BodyError):
        read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"])[1].eof()
    with pytest.raises(BodyError):
        read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"])[1].eof()
    with pytest.raises(Malformed):
        read([b"HTTP/1.1 200 OK\r\nConte"])[1].eof()
    assert read([])[1].eof() is None


def test_limits() -> None:
    limits = Limits(head_octets=300, field_octets=100, fields=5, body_octets=10)
    long_field = b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 0\r\n\r\n" % (b"a" * 120)
    many = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 6 + b"Content-Length: 0\r\n\r\n"
    for octets in (
        long_field,
        long_field.replace(b"\r\n", b"\n"),
        many,
        many.replace(b"\r\n", b"\n"),
        b"HTTP/1.1 200 OK\r\n" + b"X: 2345678901234567890\r\n" * 100,
        b"a" * 400,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 6,
    ):
        with pytest.raises(Malformed) as caught:
            read([octets], limits=limits)
        assert not isinstance(caught.value, BodyError)
    for octets in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n12345678901",
    ):
        with pytest.raises(BodyError, match="too large"):
            read([octets], limits=limits)


def test_a_flood_of_tiny_chunks_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHUNKS", 100)
    with pytest.raises(BodyError, match="chunks"):
        read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200])


def test_a_long_blank_value_costs_little() -> None:
    octets = b"HTTP/1.1 200 OK\r\nX: a%bb\r\nContent-Length: 0\r\n\r\n" % (b" " * 8000)
    reply, _ = read([octets])
    assert reply is not None and len(reply.headers[0][1]) == 8002


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", GOOD["chunked"][:47]]), st.integers(1, 200)
)
def test_any_octets_are_an_answer_or_malformed(octets: bytes, before: bytes, cut: int) -> None:
    whole = before + octets
    try:
        reply, reader = read([whole[:cut], whole[cut:]] if whole[cut:] else [whole])
        if reply is None:
            reader.eof()
    except Malformed:
        pass
