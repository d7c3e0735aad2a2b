"""The cursor: each element, what it refuses, and what clients do that Dovecot takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import InvalidName, Malformed
from roost.imap.args import Args
from roost.imap.assembler import Assembler, Complete
from roost.imap.replies import astring, string

ATOM_CHARACTERS = bytes(c for c in range(0x21, 0x7F) if c not in b'(){%*"\\]')


def args(raw: bytes, *literals: object) -> Args:
    return Args(Complete(raw, literals))


def refused(read: Callable[[Args], object], raw: bytes, *literals: object) -> str:
    with pytest.raises(Malformed) as error:
        read(args(raw, *literals))
    return error.value.client_text


@pytest.mark.parametrize(
    ("line", "tag", "name", "rest"),
    [
        (b"a1 NOOP", b"a1", b"NOOP", b""),
        (b"a1 noop ", b"a1", b"NOOP", b" "),
        (b". Fetch 1 FLAGS", b".", b"FETCH", b" 1 FLAGS"),
        (b"a UID FETCH 1", b"a", b"UID FETCH", b" 1"),
        (b"a  uid   store 1", b"a", b"UID STORE", b" 1"),
        (b"a UID", b"a", b"UID", b""),
        (b"a UNSELECT", b"a", b"UNSELECT", b""),
        (b"a XLIST x", b"a", b"XLIST", b" x"),
        (b"a X-Y-1", b"a", b"X-Y-1", b""),
        (b"A0]!#$&',-./:;<=>?@^_`|}~ NOOP", b"A0]!#$&',-./:;<=>?@^_`|}~", b"NOOP", b""),
        (b"a", b"a", b"", b""),
        (b"a ", b"a", b"", b""),
        (b"a {x", b"a", b"", b"{x"),
        (b"a b\xe9c", b"a", b"", b"b\xe9c"),
        (b"GET / HTTP/1.1", b"GET", b"", b"/ HTTP/1.1"),
    ],
)
def test_command(line: bytes, tag: bytes, name: bytes, rest: bytes) -> None:
    cursor = args(line)
    assert cursor.command() == (tag, name)
    assert cursor.raw[cursor.pos :] == rest


@pytest.mark.parametrize(
    "line", [b"+ NOOP", b" a NOOP", b"(a NOOP", b'"a" NOOP', b"\\a NOOP", b"*", b"\x16\x03\x01", b"\xe9 NOOP"]
)
def test_invalid_tags(line: bytes) -> None:
    assert refused(Args.command, line) == "Invalid tag"


def test_every_atom_character() -> None:
    assert args(ATOM_CHARACTERS).atom() == ATOM_CHARACTERS
    assert args(ATOM_CHARACTERS + b"]").astring() == ATOM_CHARACTERS + b"]"
    for octet in set(range(256)) - set(ATOM_CHARACTERS):
        assert args(b"a" + bytes([octet])).atom() == b"a"
        with pytest.raises(Malformed):
            args(bytes([octet])).atom()


@pytest.mark.parametrize("text", [b"NIL", b"nil", b"~foo", b"~", b"foo}", b"a]b", b"+1", b"1"])
def test_atoms_that_are_just_text(text: bytes) -> None:
    assert args(text).astring() == text


@pytest.mark.parametrize(
    ("raw", "literals", "value"),
    [
        (b"abc def", (), b"abc"),
        (b'""', (), b""),
        (b'"a b"x', (), b"a b"),
        (b'"a\\"b\\\\"', (), b'a"b\\'),
        (b'"a\\n"', (), b"an"),
        (b'"caf\xc3\xa9"', (), b"caf\xc3\xa9"),
        (b"\n", (b"any\r\n\x00",), b"any\r\n\x00"),
        (b"~\n", (b"\x00",), b"~"),  # a literal8 is no string
    ],
)
def test_astring(raw: bytes, literals: tuple[object, ...], value: bytes) -> None:
    assert args(raw, *literals).astring() == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "Missing arguments."),
        (b" ", "Missing arguments."),
        (b")", "Invalid arguments."),
        (b"(", "Invalid arguments."),
        (b'"abc', "Missing '\"'"),
        (b'"abc\\"', "Missing '\"'"),
        (b'"a\x00"', "Missing '\"'"),
        (b"\xe9", "8bit data in atom"),
        (b"%", "Invalid characters in atom"),
        (b"{3}", "Invalid characters in atom"),
        (b"\\Seen", "Invalid characters in atom"),
    ],
)
def test_astring_refuses(raw: bytes, why: str) -> None:
    assert refused(Args.astring, raw) == why


def test_a_literal_that_was_not_kept_is_too_long_for_a_string() -> None:
    assert refused(Args.astring, b"\n", None) == "Too long argument"


def test_strings_and_nil() -> None:
    assert refused(Args.string, b"abc") == "Invalid arguments."
    assert refused(Args.nstring, b"abc") == "Invalid arguments."
    assert args(b"nil").nstring() is None
    assert args(b'"NIL"').nstring() == b"NIL"
    assert args(b"\n", b"NIL").nstring() == b"NIL"


def test_literals_in_order_and_again_after_going_back() -> None:
    cursor = args(b"\n ~\n", b"one", b"two")
    assert not cursor.literal_is_binary()
    assert cursor.literal() == b"one"
    cursor.space()
    assert cursor.literal_is_binary()
    start = cursor.pos
    assert cursor.literal() == b"two"
    cursor.pos = start
    assert cursor.literal() == b"two"
    cursor.end()
    assert refused(Args.literal, b"abc") == "Invalid arguments."


@given(st.lists(st.binary(max_size=20).filter(lambda v: b"\x00" not in v), min_size=1, max_size=5), st.booleans())
def test_strings_round_trip_through_the_assembler(values: list[bytes], plain: bool) -> None:
    write = string if plain else astring
    stream = b"a X" + b"".join(b" " + write(value) for value in values) + b"\r\n"
    assembler = Assembler(10_000)
    assembler.feed(stream)
    while not isinstance(event := assembler.next_event(), Complete):
        assert event is not None
    cursor = Args(event)
    cursor.command()
    for value in values:
        cursor.space()
        assert cursor.astring() == value
    cursor.end()


def test_spaces() -> None:
    cursor = args(b"a   b  ")
    cursor.atom()
    cursor.space()
    assert cursor.atom() == b"b"
    assert cursor.at_end()
    cursor.end()
    assert cursor.peek() == -1
    assert refused(Args.space, b"") == "Missing arguments."
    assert refused(Args.space, b"  ") == "Missing arguments."
    assert refused(Args.space, b"x") == "Invalid arguments."
    assert refused(Args.end, b" x") == "Invalid arguments."
    args(b"").skip_spaces()


@pytest.mark.parametrize("raw", [b"(a b)", b"( a  b )", b"(a b )"])
def test_lists(raw: bytes) -> None:
    cursor = args(raw)
    cursor.open_list()
    found = []
    while not cursor.close_list():
        found.append(cursor.atom())
    assert found == [b"a", b"b"]


@pytest.mark.parametrize("raw", [b"(a", b"(a ", b"(", b"( "])
def test_unclosed_lists(raw: bytes) -> None:
    cursor = args(raw)
    cursor.open_list()
    with pytest.raises(Malformed, match="Missing"):
        while not cursor.close_list():
            cursor.atom()


def test_elements_of_a_list_need_a_space_between() -> None:
    cursor = args(b'("a""b")')
    cursor.open_list()
    assert not cursor.close_list()
    cursor.string()
    with pytest.raises(Malformed):
        cursor.close_list()
    assert refused(Args.open_list, b"a") == "Invalid arguments."


def test_numbers() -> None:
    assert args(b"0").number() == 0
    assert args(b"4294967295").number() == 4294967295
    assert args(b"9223372036854775807").number64() == 9223372036854775807
    assert args(b"007").nz_number() == 7
    for raw in (b"4294967296", b"-1", b"x", b"", b"9" * 21):
        refused(Args.number, raw)
    refused(Args.number64, b"9223372036854775808")
    refused(Args.nz_number, b"0")


def test_sets() -> None:
    assert args(b"1:3 x").seqset().pairs == ((1, 3),)
    assert args(b"1:3)").seqset().pairs == ((1, 3),)
    for raw in (b"1:", b"1x", b"0", b"1,", b"", b"$", b"1:3,", b"4294967296"):
        assert refused(Args.seqset, raw) == "Invalid messageset"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"(\\Seen \\DELETED $Junk)", (9, ("$Junk",))),
        (b"( \\Seen  foo )", (1, ("foo",))),
        (b"()", (0, ())),
        (b"\\Seen", (1, ())),
        (b"\\Seen foo  ", (1, ("foo",))),
        (b"(NIL)", (0, ("NIL",))),
        (b"(foo FOO Foo)", (0, ("foo",))),
    ],
)
def test_flags(raw: bytes, found: object) -> None:
    assert args(raw).flag_list() == found


@pytest.mark.parametrize(
    "raw", [b"(\\Recent)", b"(\\Foo)", b"(\\)", b"(a(b))", b"(a", b"", b"(a]b)", b'("a")', b"a)", b"\\Seen (x)"]
)
def test_flags_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        cursor = args(raw)
        cursor.flag_list()
        cursor.end()


@pytest.mark.parametrize("raw", [b"1-Feb-2026", b"01-Feb-2026", b'"1-feb-2026"', b'"01-FEB-2026"', b'" 1-Feb-2026"'])
def test_dates(raw: bytes) -> None:
    cursor = args(raw)
    assert cursor.date() == 20485
    cursor.end()


@pytest.mark.parametrize("raw", [b"31-Feb-2026", b"0-Feb-2026", b"1-Foo-2026", b'"1-Feb-2026', b"1-Feb-26", b""])
def test_dates_refused(raw: bytes) -> None:
    assert "date" in refused(Args.date, raw)


def test_date_times() -> None:
    for raw in (b'"05-Jan-2026 10:00:00 +0000"', b'" 5-Jan-2026 11:00:00 +0100"', b'"5-Jan-2026 05:00:00 -0500"'):
        assert args(raw).date_time() == 1767607200
    assert args(b"\n", b"05-Jan-2026 10:00:00 +0000").date_time() == 1767607200
    for raw in (b'"05-Jan-2026 10:00:00"', b'"05-Jan-2026 24:00:00 +0000"', b'""'):
        assert refused(Args.date_time, raw) == "Invalid internal date."
    refused(Args.date_time, b"05-Jan-2026")


def test_mailboxes_and_patterns() -> None:
    assert args(b"inbox").mailbox() == "INBOX"
    assert args(b'"&AOk-"').mailbox() == "é"
    with pytest.raises(InvalidName):
        args(b'"\xe9"').mailbox()
    assert args(b"foo/%*]").list_mailbox() == b"foo/%*]"
    assert args(b'"a b*"').list_mailbox() == b"a b*"
    assert args(b'""').list_mailbox() == b""
    assert args(b"\n", b"x").list_mailbox() == b"x"
    refused(Args.list_mailbox, b"(x)")


@given(st.binary(max_size=80).map(lambda raw: raw.replace(b"\n", b"")))
def test_no_octets_raise_anything_else(raw: bytes) -> None:
    for read in (
        Args.command, Args.atom, Args.astring, Args.string, Args.nstring, Args.list_mailbox, Args.number, Args.seqset,
        Args.flag_list, Args.date, Args.date_time, Args.space, Args.end, Args.literal, Args.open_list, Args.close_list,
    ):  # fmt: skip
        cursor = args(raw)
        try:
            read(cursor)
        except Malformed:
            continue
        assert 0 <= cursor.pos <= len(raw)
