"""SCRAM: the RFCs' own conversations, a client of our own, and every way to break a message."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.sasl_client import ScramClient

from roost.sasl import MECHANISMS, scram_keys
from roost.sasl.base import Broken, Challenge, Lookup, Proved, Refuted, Surroundings, Turn
from roost.sasl.saslprep import prepared
from roost.sasl.scram import MAX_CLIENT_NONCE, Scram

ALGORITHMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
SURROUNDINGS = Surroundings(os.urandom, lambda: 0.0, "h")

# RFC 5802 §5, RFC 7677 §3: name, client's first, server's nonce, salt, server's first, both final messages
VECTORS = [
    (
        "SCRAM-SHA-1",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (
        "SCRAM-SHA-256",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
]


def credentials(name: str, password: bytes, salt: bytes = b"salt", iterations: int = 4096) -> bytes:
    return scram_keys.write(scram_keys.derive(ALGORITHMS[name], password, salt, iterations))


def looked_up(turn: Turn) -> Lookup:
    assert isinstance(turn, Lookup), turn
    return turn


def challenged(turn: Turn) -> bytes:
    assert isinstance(turn, Challenge), turn
    return turn.data


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
def test_the_conversations_of_the_rfcs(vector: tuple[str, bytes, bytes, str, bytes, bytes, bytes]) -> None:
    name, first, nonce, salt, server_first, final, server_final = vector
    conversation = Scram(name, ALGORITHMS[name], lambda: nonce)
    assert challenged(conversation.start(None)) == b""
    lookup = looked_up(conversation.step(first))
    assert (lookup.authcid, lookup.authzid, lookup.scheme) == (b"user", b"", name)
    turn = lookup.then(credentials(name, b"pencil", base64.b64decode(salt)))
    assert challenged(turn) == server_first
    assert conversation.step(final) == Proved(server_final)
    client = ScramClient(ALGORITHMS[name], b"user", b"pencil", first.partition(b"r=")[2])
    assert (client.first(), client.final(server_first)) == (first, final)
    assert client.accepts(server_final)


@given(
    name=st.sampled_from(sorted(ALGORITHMS)),
    user=st.binary(min_size=1, max_size=40).filter(lambda user: b"\0" not in user),
    password=st.binary(max_size=40),
    other=st.binary(max_size=40),
    salt=st.binary(min_size=1, max_size=40),
    iterations=st.integers(1, 50),
    header=st.sampled_from([b"n,,", b"y,,", b"n,a=somebody=2C=3D,"]),
)
@settings(max_examples=200, deadline=None)
def test_who_knows_the_password_gets_in_and_nobody_else(
    name: str, user: bytes, password: bytes, other: bytes, salt: bytes, iterations: int, header: bytes
) -> None:
    for given_password in (password, other):
        client = ScramClient(ALGORITHMS[name], user, given_password, header=header)
        conversation = MECHANISMS[name].begin(SURROUNDINGS)
        lookup = looked_up(conversation.start(client.first()))
        assert lookup.authcid == user
        wanted = b"somebody,=" if b"a=" in header else b""
        assert lookup.authzid == (b"" if wanted == user else wanted)
        challenge = challenged(lookup.then(credentials(name, password, salt, iterations)))
        turn = conversation.step(client.final(challenge))
        # HMAC pads its key with NULs: passwords that differ in those alone are one
        if given_password.rstrip(b"\0") == password.rstrip(b"\0"):
            assert isinstance(turn, Proved) and client.accepts(turn.data)
        else:
            assert turn == Refuted()


def test_the_own_name_as_authorization_identity_is_none() -> None:
    assert looked_up(MECHANISMS["SCRAM-SHA-256"].begin(SURROUNDINGS).start(b"n,a=u,n=u,r=x")).authzid == b""


def test_nonces_differ() -> None:
    seen = set()
    for _ in range(10):
        conversation = MECHANISMS["SCRAM-SHA-256"].begin(SURROUNDINGS)
        seen.add(challenged(looked_up(conversation.start(b"n,,n=u,r=x")).then(credentials("SCRAM-SHA-256", b"p"))))
    assert len(seen) == 10


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=u",
        b"n,,r=x,n=u",
        b"n,,n=,r=x",
        b"n,,n=u,r=",
        b"n,,n=u,r=\xff",
        b"n,,n=u,r=a b",
        b"n,,n=u,r=" + b"x" * (MAX_CLIENT_NONCE + 1),
        b"n,,n=a=b,r=x",
        b"n,,n=a=2c,r=x",
        b"n,,n=a\0b,r=x",
        b"n,a=,n=u,r=x",
        b"n,u,n=u,r=x",
        b"n,a=b=,n=u,r=x",
        b"n,,m=1,n=u,r=x",
        b"n,,n=u,r=x,broken",
        b"n,,n=u,r=x,",
        b"x,,n=u,r=x",
        b"p=tls-exporter,,n=u,r=x",
        b"N,,n=u,r=x",
    ],
)
def test_broken_first_messages(first: bytes) -> None:
    assert isinstance(MECHANISMS["SCRAM-SHA-256"].begin(SURROUNDINGS).start(first), Broken)


def final_turn(change: str, first_header: bytes = b"n,,") -> Turn:
    client = ScramClient("sha256", b"u", b"pw", header=first_header)
    conversation = MECHANISMS["SCRAM-SHA-256"].begin(SURROUNDINGS)
    challenge = challenged(looked_up(conversation.start(client.first())).then(credentials("SCRAM-SHA-256", b"pw")))
    good = client.final(challenge)
    messages = {
        "good": good,
        "empty": b"",
        "no proof": good.partition(b",p=")[0],
        "short proof": good.partition(b",p=")[0] + b",p=AAAA",
        "no base64": good.partition(b",p=")[0] + b",p=!" + b"A" * 43,
        "other header": good.replace(b"c=biws", b"c=eSws"),
        "no header": good.partition(b",")[2],
        "other nonce": good.replace(b",r=clientnonce", b",r=clientnoncf"),
        "truncated nonce": good.replace(challenge.partition(b",")[0], b"r=clientnonce"),
        "after the proof": good + b",x=1",
        "broken extension": good.replace(b",p=", b",x,p="),
        "extension": good.replace(b",p=", b",x=1,p="),
    }
    return conversation.step(messages[change])


@pytest.mark.parametrize(
    "change",
    [
        "empty",
        "no proof",
        "short proof",
        "no base64",
        "other header",
        "no header",
        "other nonce",
        "truncated nonce",
        "after the proof",
        "broken extension",
    ],
)
def test_broken_final_messages(change: str) -> None:
    assert isinstance(final_turn(change), Broken)


def test_the_proof_covers_extensions() -> None:
    assert isinstance(final_turn("good"), Proved)
    assert final_turn("extension") == Refuted()


@given(octets=st.binary(max_size=80), at=st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_changed_octets_never_prove_anything(octets: bytes, at: int) -> None:
    client = ScramClient("sha1", b"u", b"pw")
    conversation = MECHANISMS["SCRAM-SHA-1"].begin(SURROUNDINGS)
    stored = credentials("SCRAM-SHA-1", b"pw", iterations=1)
    good = client.final(challenged(looked_up(conversation.start(client.first())).then(stored)))
    at = min(at, len(good))
    message = good[:at] + octets + good[at + len(octets) :]
    turn = conversation.step(message)
    assert isinstance(turn, Proved if message == good else Broken | Refuted)
    if isinstance(turn, Broken):
        assert turn.detail.isascii() and turn.detail.startswith("SCRAM-SHA-1")


def test_stored_keys_read_back_and_show_nothing() -> None:
    keys = scram_keys.derive("sha256", b"pw", b"salt", 4096)
    assert scram_keys.parse("sha256", scram_keys.write(keys)) == keys
    assert keys.stored.hex() not in repr(keys) and "stored" not in repr(keys)


# RFC 4013 §3, and what cannot be prepared
@pytest.mark.parametrize(
    ("password", "octets"),
    [
        ("I\u00adX", b"IX"),
        ("user", b"user"),
        ("USER", b"USER"),
        ("\u00aa", b"a"),
        ("\u2168", b"IX"),
        ("p\u00a0w\u3000", b"p w "),
        ("pa\u0308ss", "p\u00e4ss".encode()),
        ("\u0627\u0031", "\u0627\u0031".encode()),  # bidirectional check
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628".encode()),
        ("\u00ad", "\u00ad".encode()),  # nothing would be left
        ("\U0001f600", "\U0001f600".encode()),  # unassigned in Unicode 3.2
        ("a\u0085", "a\u0085".encode()),
    ],
)
def test_saslprep(password: str, octets: bytes) -> None:
    assert prepared(password.encode()) == octets


def test_octets_that_are_no_text_are_kept() -> None:
    assert prepared(b"\xff\xfe") == b"\xff\xfe"
    assert prepared(b"\x07") == b"\x07"
