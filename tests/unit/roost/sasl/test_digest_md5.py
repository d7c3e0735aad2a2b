"""DIGEST-MD5: the RFC's own conversation, a client of our own, and broken responses."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from kit.sasl_client import digest_md5

from roost.sasl import MECHANISMS
from roost.sasl.base import Broken, Challenge, Lookup, Proved, Refuted, Surroundings, Turn
from roost.sasl.digest_md5 import DigestMd5, as_hashed, parse, secret_of

SURROUNDINGS = Surroundings(os.urandom, lambda: 0.0, "h")
REALMS = replace(SURROUNDINGS, realms=("example.org", 'odd"\\realm'))


def begun(surroundings: Surroundings = SURROUNDINGS) -> tuple[DigestMd5, bytes]:
    conversation = DigestMd5(surroundings)
    turn = conversation.start(None)
    assert isinstance(turn, Challenge)
    return conversation, turn.data


def test_the_conversation_of_the_rfc() -> None:
    """RFC 2831 §4, IMAP."""
    conversation, _ = begun(replace(SURROUNDINGS, realms=("elwood.innosoft.com",)))
    conversation._nonce = b"OA6MG9tEQGm2hh"
    turn = conversation.step(
        b'charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,'
        b'cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com",'
        b"response=d388dad90d4bbd760a152321f2143af7,qop=auth"
    )
    assert isinstance(turn, Lookup)
    assert (turn.authcid, turn.scheme, turn.authzid) == (b"chris@elwood.innosoft.com", "DIGEST-MD5", b"")
    assert turn.then(secret_of(turn.hashed_as, b"secret")) == Proved(b"rspauth=ea40f60335c427b5527b84dbabcdfffd")


@pytest.mark.parametrize("realm", [b"", b"example.org"])
@pytest.mark.parametrize("authzid", [b"", b"other"])
def test_right_and_wrong(realm: bytes, authzid: bytes) -> None:
    for password, expected in ((b"pw", Proved), (b"no", Refuted)):
        conversation, challenge = begun(REALMS)
        response, last = digest_md5(b"u", password, challenge, realm, authzid=authzid)
        turn = conversation.step(response)
        assert isinstance(turn, Lookup) and turn.authzid == authzid
        end = turn.then(secret_of(b"u:%b:" % realm, b"pw"))
        assert isinstance(end, expected)
        assert not isinstance(end, Proved) or end.data == last


def test_realms_are_offered_and_others_refused() -> None:
    conversation, challenge = begun(REALMS)
    assert challenge.startswith(b'realm="example.org",realm="odd\\"\\\\realm",nonce="')
    assert isinstance(conversation.step(digest_md5(b"u", b"pw", challenge, b"example.com")[0]), Broken)
    conversation, challenge = begun()
    assert challenge.startswith(b'realm="",nonce="')
    assert isinstance(conversation.step(digest_md5(b"u", b"pw", challenge, b"example.org")[0]), Broken)


def test_a_replayed_response_is_refused() -> None:
    _, challenge = begun()
    response, _ = digest_md5(b"u", b"pw", challenge)
    again, _ = begun()
    turn = again.step(response)
    assert isinstance(turn, Broken) and "nonce" in turn.detail


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"nc=00000001", b"nc=00000002"),
        (b"nc=00000001,", b""),
        (b"qop=auth", b"qop=auth-int"),
        (b'digest-uri="imap/h"', b'digest-uri="imap"'),
        (b'username="u"', b'username=""'),
        (b'username="u"', b'username="u",username="v"'),
        (b"charset=utf-8", b"charset=latin-1"),
        (b"response=", b"response=A"),
        (b'cnonce="cnonce"', b"cnonce="),
        (b'username="u"', b'username="u'),
        (b'username="u"', b'username="\0"'),
        (b",", b"\0,"),
    ],
)
def test_broken_responses(old: bytes, new: bytes) -> None:
    conversation, challenge = begun()
    response = digest_md5(b"u", b"pw", challenge)[0]
    assert old in response
    assert isinstance(conversation.step(response.replace(old, new)), Broken)


def test_no_initial_response() -> None:
    def start(initial: bytes | None) -> Turn:
        return MECHANISMS["DIGEST-MD5"].begin(SURROUNDINGS).start(initial)

    assert isinstance(start(b'username="u"'), Broken)
    assert isinstance(start(b""), Challenge)


def test_parsing_is_linear_and_bounded() -> None:
    assert parse(b"a=b,") == {b"a": b"b"}
    assert parse(b'a = "x\\"y" , b=c') == {b"a": b'x"y', b"b": b"c"}
    assert parse(b'a="' + b"\\" * 4000) is None
    assert parse(b"," * 4096) is None
    assert parse(b"a=b," * 1025) is None  # longer than the RFC allows


def test_latin_1_where_it_will_do() -> None:
    assert as_hashed("ü".encode(), True) == b"\xfc"
    assert as_hashed("€".encode(), True) == "€".encode()
    assert as_hashed(b"\xfc", True) == b"\xfc"
    assert as_hashed("ü".encode(), False) == "ü".encode()
