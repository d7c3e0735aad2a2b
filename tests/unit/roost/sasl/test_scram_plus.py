"""SCRAM with channel binding: which flag fits which mechanism, and what the proof covers."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from kit.sasl_client import ScramClient

from roost.sasl import MECHANISMS, scram_keys
from roost.sasl.base import Bind, Broken, Challenge, Conversation, Lookup, Proved, Refuted, Surroundings, Turn

ALGORITHMS = {"SCRAM-SHA-1-PLUS": "sha1", "SCRAM-SHA-256-PLUS": "sha256"}
KINDS = frozenset({"tls-unique", "tls-server-end-point"})
PLAIN = Surroundings(os.urandom, lambda: 0.0, "h")
BOUND = replace(PLAIN, bindings=KINDS, plus=frozenset(ALGORITHMS))
DATA = b"\x00\xff of this connection"


def exchange(name: str, client: ScramClient, data: bytes | None, password: bytes = b"pw") -> Turn:
    """The whole conversation; ``data``: what the server's side of the connection says."""
    conversation = MECHANISMS[name].begin(BOUND)
    turn = conversation.start(client.first())
    if isinstance(turn, Bind):
        turn = turn.then(data)
    if not isinstance(turn, Lookup):
        return turn
    assert turn.scheme == name.removesuffix("-PLUS")
    algorithm = "sha1" if "SHA-1" in name else "sha256"
    challenge = turn.then(scram_keys.write(scram_keys.derive(algorithm, b"pw", b"salt", 4096)))
    assert isinstance(challenge, Challenge)
    last = conversation.step(client.final(challenge.data))
    if isinstance(last, Proved):
        assert client.accepts(last.data)
    return last


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_both_ends_see_the_same_connection(name: str, kind: str) -> None:
    header = b"p=%b,," % kind.encode()
    client = ScramClient(ALGORITHMS[name], b"u", b"pw", header=header, binding=DATA)
    assert isinstance(exchange(name, client, DATA), Proved)
    wrong = ScramClient(ALGORITHMS[name], b"u", b"no", header=header, binding=DATA)
    assert isinstance(exchange(name, wrong, DATA), Refuted)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_somebody_between_has_another_connection(name: str) -> None:
    client = ScramClient(ALGORITHMS[name], b"u", b"pw", header=b"p=tls-unique,,", binding=b"the other side's")
    assert isinstance(exchange(name, client, DATA), Broken)
    none = ScramClient(ALGORITHMS[name], b"u", b"pw", header=b"p=tls-unique,,", binding=b"")
    assert isinstance(exchange(name, none, DATA), Broken)


@pytest.mark.parametrize("data", [None, b""])
def test_a_connection_without_binding_data_ends_the_exchange(data: bytes | None) -> None:
    client = ScramClient("sha256", b"u", b"pw", header=b"p=tls-unique,,", binding=b"")
    assert isinstance(exchange("SCRAM-SHA-256-PLUS", client, data), Broken)


@pytest.mark.parametrize(
    "flag", [b"n", b"y", b"p=", b"p=tls-exporter", b"p=TLS-UNIQUE", b"p=tls-unique2", b"p=\xff", b"p", b"x", b""]
)
def test_plus_takes_only_kinds_that_the_connection_has(flag: bytes) -> None:
    conversation: Conversation = MECHANISMS["SCRAM-SHA-256-PLUS"].begin(BOUND)
    assert isinstance(conversation.start(flag + b",,n=u,r=abc"), Broken)
    without: Conversation = MECHANISMS["SCRAM-SHA-256-PLUS"].begin(PLAIN)
    assert isinstance(without.start(b"p=tls-unique,,n=u,r=abc"), Broken)


@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_flags_without_plus(name: str) -> None:
    def first(flag: bytes, surroundings: Surroundings) -> Turn:
        return MECHANISMS[name].begin(surroundings).start(flag + b",,n=u,r=abc")

    assert isinstance(first(b"n", BOUND), Lookup)
    assert isinstance(first(b"y", PLAIN), Lookup), "nothing else was offered on this connection"
    assert isinstance(first(b"y", replace(BOUND, plus=frozenset())), Lookup)
    assert isinstance(first(b"p=tls-unique", BOUND), Broken)
    turn = first(b"y", BOUND)
    assert isinstance(turn, Broken) and "changed the list" in turn.detail
    other = "SCRAM-SHA-1-PLUS" if name.endswith("256") else "SCRAM-SHA-256-PLUS"
    assert isinstance(first(b"y", replace(BOUND, plus=frozenset({other}))), Lookup), "its own -PLUS was not offered"


def test_the_final_header_must_be_the_first_one() -> None:
    conversation = MECHANISMS["SCRAM-SHA-256-PLUS"].begin(BOUND)
    client = ScramClient("sha256", b"u", b"pw", header=b"p=tls-unique,,", binding=DATA)
    turn = conversation.start(client.first())
    assert isinstance(turn, Bind) and turn.kind == "tls-unique"
    lookup = turn.then(DATA)
    assert isinstance(lookup, Lookup)
    challenge = lookup.then(scram_keys.write(scram_keys.derive("sha256", b"pw", b"salt", 4096)))
    assert isinstance(challenge, Challenge)
    client.header = b"p=tls-server-end-point,,"
    assert isinstance(conversation.step(client.final(challenge.data)), Broken)
