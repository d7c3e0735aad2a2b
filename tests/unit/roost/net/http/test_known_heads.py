"""Heads that a server sends again and again are read once: with the same outcome, and never for another shape."""

from __future__ import annotations

import pytest

from roost.errors import Malformed
from roost.net.http.response import BodyError, Known, Limits, Reply, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"


def read(reader: ResponseReader, octets: bytes, method: bytes = b"GET") -> Reply:
    reader.expect(method)
    reply = reader.feed(octets)
    assert reply is not None
    return reply


def test_a_known_head_gives_what_the_first_gave() -> None:
    known: Known = {}
    first = read(ResponseReader(Limits(), known), HEAD + b"ab")
    assert list(known) == [HEAD]
    again = read(ResponseReader(Limits(), known), HEAD + b"cd")
    assert (again.status, again.reason, again.headers, again.keep) == (200, b"OK", first.headers, True)
    assert (first.body, again.body) == (b"ab", b"cd")


def test_a_known_head_octet_by_octet() -> None:
    known: Known = {}
    read(ResponseReader(Limits(), known), HEAD + b"ab")
    reader = ResponseReader(Limits(), known)
    reader.expect(b"GET")
    replies = [reader.feed(bytes([octet])) for octet in HEAD + b"xy"]
    assert replies[:-1] == [None] * (len(HEAD) + 1)
    assert replies[-1] is not None and replies[-1].body == b"xy"


def test_a_known_head_that_answers_head_has_no_body() -> None:
    known: Known = {}
    read(ResponseReader(Limits(), known), HEAD + b"ab")
    assert read(ResponseReader(Limits(), known), HEAD, b"HEAD").body == b""


def test_surplus_after_a_known_head_ends_the_connection() -> None:
    known: Known = {}
    read(ResponseReader(Limits(), known), HEAD + b"ab")
    assert not read(ResponseReader(Limits(), known), HEAD + b"abc").keep


def test_refused_heads_and_long_ones_are_not_known_and_few_are_kept() -> None:
    known: Known = {}
    with pytest.raises(Malformed):
        read(ResponseReader(Limits(fields=1), known), HEAD + b"ab")
    assert not known
    long = HEAD.replace(b"text/plain", b"x" * 3000)
    assert read(ResponseReader(Limits(), known), long + b"ab").body == b"ab"
    assert not known
    for number in range(100):
        read(ResponseReader(Limits(), known), HEAD.replace(b"plain", b"%d" % number) + b"ab")
    assert 0 < len(known) <= 32


def test_a_payload_too_large_is_refused_each_time() -> None:
    known: Known = {}
    for _ in range(2):
        with pytest.raises(BodyError):
            read(ResponseReader(Limits(body_octets=1), known), HEAD + b"ab")
