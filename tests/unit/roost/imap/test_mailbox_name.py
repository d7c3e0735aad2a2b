"""Modified UTF-7, NFC and INBOX."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import InvalidName
from roost.imap import mailbox_name

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=300)


@given(NAMES)
def test_round_trip(name: str) -> None:
    wanted = mailbox_name.canonical(unicodedata.normalize("NFC", name))
    assert mailbox_name.decode(mailbox_name.encode(name)) == wanted
    assert mailbox_name.decode(mailbox_name.encode(name, utf8=True), utf8=True) == wanted
    assert mailbox_name.encode(name).isascii()


@given(st.binary(max_size=60))
def test_what_is_accepted_is_written_back_the_same(wire_name: bytes) -> None:
    try:
        name = mailbox_name.decode(wire_name)
    except InvalidName:
        return
    again = mailbox_name.encode(name)
    assert mailbox_name.decode(again) == name
    if name == unicodedata.normalize("NFC", name) and not wire_name.upper().startswith(b"INBOX"):
        assert again == wire_name or not name.isascii()


@pytest.mark.parametrize(
    ("wire_name", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&AOk-t&AOk-", "été"),
        (b"a&-b", "a&b"),
        (b"&-&-", "&&"),
        (b"&AOk-&-", "é&"),
        (b"&2D3eAA-", "\U0001f600"),
        (b"inbox", "INBOX"),
        (b"InBoX/x", "INBOX/x"),
        (b"inboxes", "inboxes"),
        (b"x/inbox", "x/inbox"),
        (b"&AGUDAQ-", None),  # "e" needs no encoding
        (b"e&AwE-", "\u00e9"),  # a combining accent: NFC
        (b"NIL", "NIL"),
        (b"", ""),
    ],
)
def test_decode(wire_name: bytes, name: str | None) -> None:
    if name is None:
        with pytest.raises(InvalidName):
            mailbox_name.decode(wire_name)
    else:
        assert mailbox_name.decode(wire_name) == name


@pytest.mark.parametrize(
    "wire_name",
    [b"&", b"&AOk", b"a&b", b"caf\xc3\xa9", b"\xff", b"&AOk=-", b"&2D0-", b"&AOk-&AOk-", b"&AGE-", b"&A-", b"&AOl-",
     b"a\x00b", b"a\tb", b"a\rb", b"&AAo-", b"\x7f", b"&////-", b"&AO/-"],
)  # fmt: skip
def test_refused_with_cannot(wire_name: bytes) -> None:
    with pytest.raises(InvalidName) as error:
        mailbox_name.decode(wire_name)
    assert error.value.code == "CANNOT"


def test_utf8_names() -> None:
    assert mailbox_name.decode("été".encode(), utf8=True) == "été"
    with pytest.raises(InvalidName):
        mailbox_name.decode(b"\xe9", utf8=True)


def test_patterns_never_raise() -> None:
    assert mailbox_name.decode_pattern(b"&AOk-%") == "é%"
    assert mailbox_name.decode_pattern(b"\xe9&*") == "é&*"
