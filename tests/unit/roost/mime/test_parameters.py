"""Content-Type and Content-Disposition values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.mime import parameters


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"text/plain", (b"text", b"plain", ())),
        (b" Text / HTML ; Charset=UTF-8\r\n", (b"text", b"html", ((b"Charset", b"UTF-8"),))),
        (b'a/b; x="c;d=\\"e\\""; y = z', (b"a", b"b", ((b"x", b'c;d="e"'), (b"y", b"z")))),
        (b'multipart/mixed; boundary="foo\r\n bar"', (b"multipart", b"mixed", ((b"boundary", b"foo bar"),))),
        (
            b"text/plain (a (nested) comment); (x) charset=us-ascii (y)",
            (b"text", b"plain", ((b"charset", b"us-ascii"),)),
        ),
        (b'text/plain; a="(no comment)"', (b"text", b"plain", ((b"a", b"(no comment)"),))),
        (b"text/plain (unclosed; charset=x", (b"text", b"plain", ())),
        (b'text/plain; a="unclosed', (b"text", b"plain", ((b"a", b"unclosed"),))),
        (b"text/plain; a=; b; =c; d=e/f", (b"text", b"plain", ((b"a", b""), (b"d", b"e/f")))),
        (b'text/plain; a=""', (b"text", b"plain", ((b"a", b""),))),
        (b"text/plain;a=b;a=c", (b"text", b"plain", ((b"a", b"b"), (b"a", b"c")))),
        (b"application/vnd.ms-excel.sheet+xml", (b"application", b"vnd.ms-excel.sheet+xml", ())),
        (
            b'a/b; n*0=x; m=1; N*1=y; n*2="z "; o*1=late',
            (b"a", b"b", ((b"m", b"1"), (b"n", b"xyz "), (b"o*1", b"late"))),
        ),
        (b"a/b; n*1*=%20b; n*0*=utf-8''a; n*2=\"c d%\"", (b"a", b"b", ((b"n*", b"utf-8''a%20bc%20d%25"),))),
        (b"a/b; n*0=x; n*0=y; n*2=z; n*=w", (b"a", b"b", ((b"n*", b"w"), (b"n", b"x"), (b"n*2", b"z")))),
        (b"text", None),
        (b"/plain", None),
        (b"", None),
        (b"te\xe9t/plain", None),
        (None, None),
    ],
)
def test_content_type(value: bytes | None, wanted: object) -> None:
    assert parameters.content_type(value) == wanted


def test_other_fields() -> None:
    assert parameters.disposition(b'Attachment; filename="a b"') == (b"Attachment", ((b"filename", b"a b"),))
    assert parameters.disposition(b'"x"') is None
    assert parameters.token(b" (c) BASE64 (x)\r\n") == b"BASE64"
    assert parameters.token(b"?x") is None
    assert parameters.token(None) is None
    assert parameters.tokens(b"en, (x) de-CH,,\r\n fr") == [b"en", b"de-CH", b"fr"]
    assert parameters.get(((b"Name", b"x"),), b"name") == b"x"
    assert parameters.get((), b"name") is None


def test_counts_are_bounded() -> None:
    found = parameters.content_type(b"a/b" + b";x=y" * 100_000)
    assert found is not None
    assert len(found[2]) == parameters.MAX_PARAMETERS
    assert len(parameters.tokens(b"a," * 10_000)) <= parameters.MAX_PARAMETERS + 1


@given(st.binary(max_size=80))
def test_no_octets_raise(value: bytes) -> None:
    parameters.content_type(b"a/b;" + value)
    parameters.disposition(value)
    parameters.token(value)
    parameters.tokens(value)


TOKENS = st.text("abcXYZ019-_.'%", min_size=1, max_size=10).map(str.encode)
VALUES = st.binary(max_size=20).map(lambda v: v.translate(None, b"\r\n\t\x00"))


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=6))
def test_round_trip(pairs: list[tuple[bytes, bytes]]) -> None:
    value = b"a/b" + b"".join(
        b'; %s="%s"' % (name, text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')) for name, text in pairs
    )
    assert parameters.content_type(value) == (b"a", b"b", tuple(pairs))
