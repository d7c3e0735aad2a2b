"""CRAM-MD5 and the MD5 it stands on, against the RFC's example and the standard library."""

from __future__ import annotations

import hashlib
import hmac
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.sasl_client import cram_md5

from roost.sasl import MECHANISMS
from roost.sasl.base import Broken, Challenge, Lookup, Proved, Refuted, Surroundings
from roost.sasl.md5_state import BLOCK_OCTETS, compress, finish, hmac_finish, hmac_states

SURROUNDINGS = Surroundings(os.urandom, lambda: 1_700_000_000.9, "mail.example")
START = bytes.fromhex("0123456789abcdeffedcba9876543210")


def test_the_example_of_rfc_2195() -> None:
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    digest = hmac_finish(hmac_states(b"tanstaaftanstaaf"), challenge)
    assert digest.hex() == "b913a602c7eda7a495b4e6e7334d3890"


@given(key=st.binary(max_size=200), message=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_hmac_is_that_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert hmac_finish(hmac_states(key), message) == hmac.digest(key, message, "md5")


@given(block=st.binary(min_size=BLOCK_OCTETS, max_size=BLOCK_OCTETS), rest=st.binary(max_size=150))
@settings(max_examples=100, deadline=None)
def test_a_state_goes_on_where_it_was_taken(block: bytes, rest: bytes) -> None:
    state = compress(START, block)
    assert finish(state, BLOCK_OCTETS, rest) == hashlib.md5(block + rest, usedforsecurity=False).digest()


def test_a_conversation() -> None:
    for password, turn in ((b"pw", Proved()), (b"no", Refuted())):
        conversation = MECHANISMS["CRAM-MD5"].begin(SURROUNDINGS)
        challenge = conversation.start(None)
        assert isinstance(challenge, Challenge)
        digits, _, rest = challenge.data.partition(b".")
        assert (digits[:1], len(digits), rest) == (b"<", 17, b"1700000000@mail.example>")
        lookup = conversation.step(cram_md5(b"u with space", password, challenge.data))
        assert isinstance(lookup, Lookup)
        assert (lookup.authcid, lookup.scheme) == (b"u with space", "CRAM-MD5")
        assert lookup.then(hmac_states(b"pw")) == turn


def test_no_two_challenges_are_equal() -> None:
    assert len({str(MECHANISMS["CRAM-MD5"].begin(SURROUNDINGS).start(None)) for _ in range(20)}) == 20


def test_an_initial_response_is_refused() -> None:
    assert isinstance(MECHANISMS["CRAM-MD5"].begin(SURROUNDINGS).start(b"u"), Broken)
    assert isinstance(MECHANISMS["CRAM-MD5"].begin(SURROUNDINGS).start(b""), Challenge)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b" ",
        b"u",
        b"u ",
        b"u " + b"0" * 31,
        b"u " + b"0" * 33,
        b"u " + b"A" * 32,
        b" " + b"0" * 32,
        b"a\0b " + b"0" * 32,
        b"u" + b"0" * 32,
        b"u " + b"g" * 32,
        b"\xff" * 40,
    ],
)
def test_broken_responses(response: bytes) -> None:
    conversation = MECHANISMS["CRAM-MD5"].begin(SURROUNDINGS)
    conversation.start(None)
    assert isinstance(conversation.step(response), Broken)
