"""Transfer encodings, charsets and encoded words."""

from __future__ import annotations

import base64
import quopri
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.mime import charsets, encodings, words
from roost.mime.parts import parse


@given(st.binary(max_size=300))
def test_decoding_what_the_standard_library_encodes(octets: bytes) -> None:
    assert encodings.decode(base64.encodebytes(octets).replace(b"\n", b"\r\n"), b"base64") == octets
    assert encodings.decode(quopri.encodestring(octets, quotetabs=True), b"quoted-printable") == octets
    for name in (b"7bit", b"8bit", b"binary", b""):
        assert encodings.decode(octets, name) == octets
    assert encodings.decode(octets, b"x-new") is None


@given(st.binary(max_size=120))
def test_no_octets_raise(octets: bytes) -> None:
    for name in encodings.KNOWN:
        assert encodings.decode(octets, name) is not None
    words.header_text(octets)
    words.decode_words(b"=?utf-8?b?" + octets + b"?= =?iso-2022-jp?q?" + octets + b"?=")
    for name in ("utf-8", "utf-16", "iso-2022-jp", "gb18030", "us-ascii", "hz", "koi8-r", "\x00", "idna"):
        assert isinstance(charsets.decode(octets, name), str)


def test_damaged_base64() -> None:
    assert encodings.decode(b"aGVs\r\nbG8", b"base64") == b"hello"
    assert encodings.decode(b"aGVsbG8=aGVsbG8=", b"base64") is not None
    assert encodings.decode(b"!!aG Vs\x00bG8=!!", b"base64") == b"hello"
    assert encodings.decode(b"aGVsb", b"base64") == b"hel"
    assert encodings.decode(b"", b"base64") == b""


def test_uuencode() -> None:
    assert encodings.decode(b"x\nbegin 644 a\n#0V%T\n`\nend\nmore", b"x-uuencode") == b"Cat"
    assert encodings.decode(b"no begin", b"uuencode") == b""


def test_part_text() -> None:
    data = (
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n"
        b"caf=E9 =\r\nx\r\n"
    )
    part = parse(data)
    assert encodings.encoding_of(part) == b"quoted-printable"
    assert encodings.part_text(data, part) == "café x\r\n"
    assert encodings.part_text(data, part, 6) == "café"
    assert encodings.part_text("\r\ncaf\u00e9".encode(), parse("\r\ncaf\u00e9".encode())) == "café"
    unknown = b"Content-Transfer-Encoding: x-new\r\n\r\nabc"
    assert encodings.part_text(unknown, parse(unknown)) == "abc"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("us-ascii", "ascii"),
        ("ISO-8859-1", "iso8859-1"),
        ("latin1", "iso8859-1"),
        ("windows-1252", "cp1252"),
        ("iso-8859-8-i", "iso8859-8"),
        ("gb2312", "gb2312"),
        ("shift_jis", "shift_jis"),
        ("ks_c_5601-1987", "euc_kr"),
        ("KOI8-R", "koi8-r"),
        ("idna", None),
        ("punycode", None),
        ("unicode_escape", None),
        ("raw_unicode_escape", None),
        ("utf-7", None),
        ("base64", None),
        ("zlib", None),
        ("rot13", None),
        ("undefined", None),
        ("mbcs", None),
        ("", None),
        ("../x", None),
        ("x" * 1000, None),
        ("\u00e9", None),
    ],
)
def test_charsets_let_in(name: str, codec: str | None) -> None:
    assert charsets.codec(name) == codec


def test_charsets_decode() -> None:
    assert charsets.decode(b"caf\xe9", "iso-8859-1") == "café"
    assert charsets.decode("é".encode(), "us-ascii") == "é"
    assert charsets.decode(b"\xe9", "us-ascii") == "é"
    assert charsets.decode(b"a\xff", "utf-8") == "a\ufffd"
    assert charsets.decode(b"\xe9", "x-unknown-charset") == "é"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"=?utf-8?q?caf=C3=A9?=", "café"),
        (b"=?UTF-8?B?Y2Fmw6k=?=", "café"),
        (b"=?utf-8?b?Y2Fmw6k?=", "café"),
        (b"=?iso-8859-1?q?a_b?=", "a b"),
        (b"=?utf-8*en?q?x?=", "x"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E9?= x", "aé x"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        (b"=?utf-8?b?w6?= =?utf-8?b?k=?=", None),
        (b"=?utf-8?q?a?=b", "ab"),
        (b"=?x-nothing?q?a?=", "=?x-nothing?q?a?="),
        (b"=?utf-8?q?a?= =?x-nothing?q?b?= =?utf-8?q?c?=", "a =?x-nothing?q?b?= c"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=??q?a?=", "=??q?a?="),
        (b"=?=?utf-8?q?a?=", "=?a"),
        (b"", ""),
    ],
)
def test_encoded_words(value: bytes, text: str | None) -> None:
    found = words.header_text(value)
    if text is not None:
        assert found == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=60).map(str.strip))
def test_encoded_words_round_trip(text: str) -> None:
    encoded = Header(text, "utf-8", maxlinelen=60).encode().encode("ascii")
    assert words.header_text(encoded) == text


@pytest.mark.parametrize("unit", [b"=?", b"=?a?q?", b"=?utf-8?q?a?= ", b"=?utf-8?b?a?=", b"=?a", b"=?utf-8?q?=?= ="])
def test_floods_are_linear(unit: bytes) -> None:
    words.header_text(unit * (1_000_000 // len(unit)))
