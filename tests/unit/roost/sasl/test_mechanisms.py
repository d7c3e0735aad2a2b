"""The mechanisms' state machines: right messages, and any octets at any step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.ipc.auth import MECHANISM_FLAGS
from roost.sasl import MECHANISMS
from roost.sasl.base import Anonymous, Broken, Challenge, Lookup, Surroundings, Turn, Verify
from roost.util.secret import Secret

SURROUNDINGS = Surroundings(lambda count: b"\x01" * count, lambda: 1_700_000_000.5, "mail.example")


def converse(name: str, initial: bytes | None, *responses: bytes) -> list[Turn]:
    conversation = MECHANISMS[name].begin(SURROUNDINGS)
    turns = [conversation.start(initial)]
    for response in responses:
        assert isinstance(turns[-1], Challenge), "a conversation that is over is not stepped"
        turns.append(conversation.step(response))
    return turns


def test_plain_in_one_message() -> None:
    assert converse("PLAIN", b"\0u\0pw") == [Verify(b"u", Secret(b"pw"))]


def test_plain_without_initial_response_asks_with_an_empty_challenge() -> None:
    assert converse("PLAIN", None, b"\0u\0pw") == [Challenge(b""), Verify(b"u", Secret(b"pw"))]


def test_plain_carries_an_authorization_identity_only_when_it_differs() -> None:
    assert converse("PLAIN", b"other\0u\0pw") == [Verify(b"u", Secret(b"pw"), b"other")]
    assert converse("PLAIN", b"u\0u\0pw") == [Verify(b"u", Secret(b"pw"))]


def test_plain_takes_an_empty_password_and_8_bit_octets_as_they_are() -> None:
    assert converse("PLAIN", b"\0\xff\xfe\0") == [Verify(b"\xff\xfe", Secret(b""))]


@pytest.mark.parametrize("message", [b"", b"\0", b"u\0pw", b"\0\0pw", b"\0u\0p\0w", b"\0u\0pw\0", b"\0" * 5000])
def test_plain_refuses_other_forms(message: bytes) -> None:
    assert isinstance(converse("PLAIN", message)[-1], Broken)


def test_login_prompts_twice() -> None:
    assert converse("LOGIN", None, b"u", b"pw") == [
        Challenge(b"Username:"),
        Challenge(b"Password:"),
        Verify(b"u", Secret(b"pw")),
    ]


def test_login_takes_the_initial_response_as_the_name() -> None:
    assert converse("LOGIN", b"u", b"pw") == [Challenge(b"Password:"), Verify(b"u", Secret(b"pw"))]
    assert converse("LOGIN", b"")[0] == Challenge(b"Username:")


def test_login_refuses_an_empty_name_and_nuls() -> None:
    assert isinstance(converse("LOGIN", None, b"")[-1], Broken)
    assert isinstance(converse("LOGIN", None, b"a\0b")[-1], Broken)
    assert isinstance(converse("LOGIN", b"u", b"a\0b")[-1], Broken)


def test_two_conversations_share_nothing() -> None:
    first, second = MECHANISMS["LOGIN"].begin(SURROUNDINGS), MECHANISMS["LOGIN"].begin(SURROUNDINGS)
    first.start(b"alice")
    second.start(b"bob")
    assert first.step(b"1") == Verify(b"alice", Secret(b"1"))
    assert second.step(b"2") == Verify(b"bob", Secret(b"2"))


@given(
    name=st.sampled_from(sorted(MECHANISMS)),
    initial=st.none() | st.binary(max_size=64),
    responses=st.lists(st.binary(max_size=64), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_any_octets_end_in_a_turn_and_no_broken_turn_repeats_them(
    name: str, initial: bytes | None, responses: list[bytes]
) -> None:
    conversation = MECHANISMS[name].begin(SURROUNDINGS)
    turn = conversation.start(initial)
    for response in responses:
        if not isinstance(turn, Challenge):
            break
        turn = conversation.step(response)
    if isinstance(turn, Broken):
        assert turn.detail.isascii() and turn.detail.startswith(name)
    elif isinstance(turn, Verify | Lookup):
        assert turn.authcid and b"\0" not in turn.authcid


def test_anonymous_takes_a_trace_or_none() -> None:
    assert converse("ANONYMOUS", None, b"sirhc") == [Challenge(b""), Anonymous("sirhc")]
    assert converse("ANONYMOUS", b"") == [Anonymous("")]
    assert converse("ANONYMOUS", "jürgen@example".encode()) == [Anonymous("jürgen@example")]


@pytest.mark.parametrize("trace", [b"\0", b"a\nb", b"\xff", b"a" * 256])
def test_anonymous_refuses_what_is_no_trace(trace: bytes) -> None:
    assert isinstance(converse("ANONYMOUS", trace)[-1], Broken)


def test_the_table_is_sound() -> None:
    for name, mechanism in MECHANISMS.items():
        assert name == mechanism.name == name.upper()
        assert mechanism.flags <= set(MECHANISM_FLAGS)
