"""OAUTHBEARER, XOAUTH2 and EXTERNAL: messages, failures told to the client, what is never a token."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from roost.sasl import MECHANISMS
from roost.sasl.base import Broken, Challenge, External, Rejected, Surroundings, Token, TokenFailure, Turn

SURROUNDINGS = Surroundings(os.urandom, lambda: 0.0, "h")
CONFIGURED = replace(SURROUNDINGS, scope="imap", openid_configuration="https://id.example/.well-known")


def first(name: str, message: bytes | None, surroundings: Surroundings = SURROUNDINGS) -> Turn:
    return MECHANISMS[name].begin(surroundings).start(message)


def test_the_message_of_rfc_7628() -> None:
    message = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    turn = first("OAUTHBEARER", message)
    assert isinstance(turn, Token)
    assert turn.authcid == b"user@example.com"
    assert turn.token.reveal() == b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    assert "vF9" not in repr(turn)


def test_xoauth2() -> None:
    turn = first("XOAUTH2", b"user=u@example.com\x01auth=Bearer abc.def-_~+/=\x01\x01")
    assert isinstance(turn, Token) and turn.authcid == b"u@example.com" and turn.token.reveal() == b"abc.def-_~+/="


def test_names_are_unescaped() -> None:
    turn = first("OAUTHBEARER", b"y,a=u=2Cv=3Dw,\x01auth=bearer  t\x01\x01")
    assert isinstance(turn, Token) and turn.authcid == b"u,v=w"


@pytest.mark.parametrize("why", TokenFailure)
def test_failures_are_told(why: TokenFailure) -> None:
    turn = first("OAUTHBEARER", b"n,a=u,\x01auth=Bearer t\x01\x01", CONFIGURED)
    assert isinstance(turn, Token)
    assert json.loads(turn.failed(why).data) == {
        "status": why.value,
        "scope": "imap",
        "openid-configuration": "https://id.example/.well-known",
    }
    turn = first("OAUTHBEARER", b"n,a=u,\x01auth=Bearer t\x01\x01")
    assert isinstance(turn, Token)
    assert json.loads(turn.failed(why).data) == {"status": why.value}
    turn = first("XOAUTH2", b"user=u\x01auth=Bearer t\x01\x01")
    assert isinstance(turn, Token)
    status = {"invalid_request": "400", "invalid_token": "401", "insufficient_scope": "403"}[why.value]
    assert json.loads(turn.failed(why).data) == {"status": status, "schemes": "bearer", "scope": "mail"}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01\x01",
        b"n,,\x01auth=Bearer t\x01\x01",
        b"n,a=,\x01auth=Bearer t\x01\x01",
        b"n,a=u=,\x01auth=Bearer t\x01\x01",
        b"p=tls-unique,a=u,\x01auth=Bearer t\x01\x01",
        b"n,a=u\x01auth=Bearer t\x01\x01",
        b"n,a=u,x\x01auth=Bearer t\x01\x01",
        b"n,a=u,\x01auth=Bearer t\x01",
        b"n,a=u,\x01auth=Bearer t\x01auth=Bearer s\x01\x01",
        b"n,a=u,\x01\x01auth=Bearer t\x01\x01",
        b"n,a=u,\x01=Bearer t\x01\x01",
        b"n,a=u\0,\x01auth=Bearer t\x01\x01",
    ],
)
def test_oauthbearer_messages_of_another_form(message: bytes) -> None:
    turn = first("OAUTHBEARER", message)
    assert isinstance(turn, Rejected) and json.loads(turn.data)["status"] == "invalid_request"


@pytest.mark.parametrize(
    "message", [b"", b"\x01\x01", b"user=u\x01auth=Bearer t\x01", b"user=\x01auth=Bearer t\x01\x01"]
)
def test_xoauth2_messages_of_another_form(message: bytes) -> None:
    turn = first("XOAUTH2", message)
    assert isinstance(turn, Rejected) and json.loads(turn.data)["status"] == "400"


@pytest.mark.parametrize(
    "credentials",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic abc",
        b"Bearer a b",
        b"Bearer a\tb",
        b"Bearer a\nb",
        b"Bearer \xff",
        b"Bearer a&b",
    ],
)
def test_what_no_token_can_be(credentials: bytes) -> None:
    turn = first("OAUTHBEARER", b"n,a=u,\x01auth=" + credentials + b"\x01\x01")
    assert isinstance(turn, Rejected) and json.loads(turn.data)["status"] == "invalid_token"
    turn = first("XOAUTH2", b"user=u\x01auth=" + credentials + b"\x01\x01")
    assert isinstance(turn, Rejected) and json.loads(turn.data)["status"] == "401"


def test_external() -> None:
    assert first("EXTERNAL", None) == Challenge(b"")
    assert first("EXTERNAL", b"") == External(b"")
    assert first("EXTERNAL", b"other") == External(b"other")
    assert isinstance(first("EXTERNAL", b"a\0b"), Broken)
