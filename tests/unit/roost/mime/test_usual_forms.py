"""The short ways for what nearly all messages hold give what the long ways give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.mime import addresses, parameters
from roost.mime.header import DESCRIBING, describing_fields, field_values, header_ends
from roost.mime.parts import Limits, parse

PIECES = st.sampled_from(
    [b"From", b"from ", b"To:", b"TO\t: ", b"Subject: ", b"Content-Type: ", b"X-A: ", b"a@b", b"Ann <a@b.c>", b'"',
     b"(", b"\\", b",", b";", b" ", b"\t", b"\r\n", b"\n", b"\r\n ", b"\n\t", b"\x00", b"\xe4", b"text/plain",
     b"name=x", b":"]
)  # fmt: skip
HEADERS = st.lists(PIECES, max_size=30).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(HEADERS)
def test_describing_fields_are_those_of_field_values(text: bytes) -> None:
    data = b"A: b\r\n" + text + b"\r\n\r\nbody"
    stop, body = header_ends(data, 0, len(data))
    root = parse(data)
    assert root.body == body
    wanted = {name: value for name, value in field_values(data, 0, stop).items() if name in DESCRIBING}
    assert {name: value for name, value in root.fields.items() if name in DESCRIBING} == wanted
    if root.header is not None:
        lines, names = root.header
        assert b"\n".join(lines) + b"\n" == data[:stop]
        assert len(lines) == len(names)


def test_names_of_lines() -> None:
    fields, lines, names = describing_fields(
        b"FROM : a@b\r\njunk\r\nSubject\r\nX-y:z\r\n more\r\nto:\tc@d\r\nTo: e@f\r"
    )
    assert names == [b"from", b"", b"", b"x-y", b"to", b"to"]
    assert lines[3] == b"X-y:z\r\n more\r"
    assert fields == {b"from": b"a@b\r", b"to": b"c@d\r,e@f\r"}


def test_the_memory_of_spellings_is_bounded() -> None:
    for number in range(5000):
        fields, _, names = describing_fields(b"X-%d: a\r\nfRoM: b@c\r" % number)
        assert names == [b"x-%d" % number, b"from"]
        assert fields == {b"from": b"b@c\r"}


@pytest.mark.parametrize(
    "data",
    [
        b"A: b\r\n\n more\r\n\r\nx",
        b"A: b\n\nbody\r\n\r\nx",
        b"A: b\r\n\n\r\nx",
        b" A: b\r\n\r\nx",
        b"\r\nA: b\r\n\r\nx",
        b"A: b\r\n",
        b"A: b",
    ],
)
def test_unusual_headers_end_where_they_end(data: bytes) -> None:
    root = parse(data)
    assert root.body == header_ends(data, 0, len(data))[1]
    assert root.header is None


def test_a_long_header_is_cut_as_before() -> None:
    data = b"From: a@b\r\n" * 50 + b"Subject: late\r\n\r\nx"
    assert b"subject" not in parse(data, Limits(max_header_octets=100)).fields
    assert parse(data, Limits(max_header_octets=100)).header is None


VALUES = st.lists(
    st.sampled_from([b"text", b"/", b"plain", b"; ", b";\r\n ", b"name", b"=", b'"', b"a b", b"(c)", b"\\", b"*0",
                     b"\t", b"x.pdf", b"\r", b"", b"\xe4", b"attachment", b"base64", b"<", b"@"]),
    max_size=12,
).map(b"".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    VALUES, st.sampled_from([b"", b"text/plain; charset=", b"attachment; filename=", b'image/png;\r\n name="', b"a/b"])
)
def test_usual_values_are_read_as_all_are(tail: bytes, head: bytes) -> None:
    value = head + tail
    long_way = value + b" ()"  # a comment is not usual, and means nothing
    quoted = value.count(b'"') % 2 or b"\\" in value or b"(" in value
    if not quoted:
        assert parameters.content_type(value) == parameters.content_type(long_way)
        assert parameters.disposition(value) == parameters.disposition(long_way)
        assert parameters.token(value) == parameters.token(long_way)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"Ann ", b"Lee  ", b"<", b"a", b".", b"@", b"b.c", b">", b",", b" ", b"\t", b'"', b"\r\n "])
    ).map(b"".join)
)
def test_one_address(value: bytes) -> None:
    match = addresses.ONE.fullmatch(value)
    if match is not None:
        name, local, domain, bare_local, bare_domain = match.groups()
        name = name.rstrip() if name else None
        assert addresses.parse(value) == [(name or None, None, local or bare_local, domain or bare_domain)]
