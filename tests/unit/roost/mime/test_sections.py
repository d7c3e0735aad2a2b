"""Sections: paths and specifiers on messages of every build."""

from __future__ import annotations

import pytest

from roost.mime.parts import parse
from roost.mime.sections import header_fields, section_range

SINGLE = b"From: a\r\nTo: b\r\n\r\nhello\r\n"

MIXED = (
    b"From: top\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n"
    b"--b\r\nX-Part: 1\r\n\r\none\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nX-Part: 2\r\n\r\n"
    b"From: inner\r\nX-A: 1\r\nX-A: 2\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    b"--c\r\nX-Part: 2.1\r\n\r\ntwo one\r\n--c\r\nX-Part: 2.2\r\n\r\ntwo two\r\n--c--\r\n"
    b"--b\r\nContent-Type: multipart/mixed; boundary=d\r\nX-Part: 3\r\n\r\n"
    b"--d\r\n\r\nthree one\r\n--d--\r\n"
    b"--b--\r\n"
)
INNER = MIXED[MIXED.index(b"From: inner") : MIXED.index(b"\r\n--b\r\nContent-Type: multipart/mixed; boundary=d")]
INNER_HEADER = INNER[: INNER.index(b"--c\r\n")]
INNER_BODY = INNER[len(INNER_HEADER) :]

MESSAGE = b"From: outer\r\nContent-Type: message/rfc822\r\n\r\nFrom: inner\r\nSubject: x\r\n\r\nbody\r\n"
TWICE = b"Content-Type: message/rfc822\r\nX: 0\r\n\r\nContent-Type: message/rfc822\r\nX: 1\r\n\r\nX: 2\r\n\r\nbody\r\n"


def get(data: bytes, path: str, part: str = "", *names: bytes) -> bytes | None:
    found = section_range(parse(data), [int(n) for n in path.split(".") if n], part)
    if found is None:
        return None
    octets = data[found[0] : found[1]]
    return header_fields(octets, part, names) if part.startswith("HEADER.FIELDS") else octets


@pytest.mark.parametrize(
    ("data", "path", "part", "wanted"),
    [
        (SINGLE, "", "", SINGLE),
        (SINGLE, "", "HEADER", b"From: a\r\nTo: b\r\n\r\n"),
        (SINGLE, "", "TEXT", b"hello\r\n"),
        (SINGLE, "1", "", b"hello\r\n"),
        (SINGLE, "1", "MIME", b"From: a\r\nTo: b\r\n\r\n"),
        (SINGLE, "1", "HEADER", None),
        (SINGLE, "1", "TEXT", None),
        (SINGLE, "1.1", "", None),
        (SINGLE, "2", "", None),
        (MIXED, "1", "", b"one"),
        (MIXED, "1", "MIME", b"X-Part: 1\r\n\r\n"),
        (MIXED, "1", "HEADER", None),
        (MIXED, "1.1", "", None),
        (MIXED, "2", "", INNER),
        (MIXED, "2", "MIME", b"Content-Type: message/rfc822\r\nX-Part: 2\r\n\r\n"),
        (MIXED, "2", "HEADER", INNER_HEADER),
        (MIXED, "2", "TEXT", INNER_BODY),
        (MIXED, "2.1", "", b"two one"),
        (MIXED, "2.2", "MIME", b"X-Part: 2.2\r\n\r\n"),
        (MIXED, "2.3", "", None),
        (MIXED, "3", "", b"--d\r\n\r\nthree one\r\n--d--"),
        (MIXED, "3", "TEXT", None),
        (MIXED, "3.1", "", b"three one"),
        (MIXED, "3.1", "MIME", b"\r\n"),
        (MIXED, "4", "", None),
        (MIXED, "", "TEXT", MIXED[MIXED.index(b"pre\r\n") :]),
        (MESSAGE, "", "TEXT", b"From: inner\r\nSubject: x\r\n\r\nbody\r\n"),
        (MESSAGE, "1", "", b"From: inner\r\nSubject: x\r\n\r\nbody\r\n"),
        (MESSAGE, "1", "MIME", b"From: outer\r\nContent-Type: message/rfc822\r\n\r\n"),
        (MESSAGE, "1", "HEADER", b"From: inner\r\nSubject: x\r\n\r\n"),
        (MESSAGE, "1", "TEXT", b"body\r\n"),
        (MESSAGE, "1.1", "", b"body\r\n"),
        (MESSAGE, "1.1", "MIME", b"From: inner\r\nSubject: x\r\n\r\n"),
        (MESSAGE, "1.1.1", "", None),
        (TWICE, "1.1", "", b"X: 2\r\n\r\nbody\r\n"),
        (TWICE, "1.1", "HEADER", b"X: 2\r\n\r\n"),
        (TWICE, "1.1", "TEXT", b"body\r\n"),
        (TWICE, "1.1.1", "", b"body\r\n"),
        (TWICE, "1.1.1.1", "", None),
    ],
)
def test_sections(data: bytes, path: str, part: str, wanted: bytes | None) -> None:
    assert get(data, path, part) == wanted


def test_header_fields() -> None:
    assert get(SINGLE, "", "HEADER.FIELDS", b"to", b"x") == b"To: b\r\n\r\n"
    assert get(SINGLE, "", "HEADER.FIELDS", b"x") == b"\r\n"
    assert get(SINGLE, "", "HEADER.FIELDS.NOT", b"to") == b"From: a\r\n\r\n"
    assert get(MIXED, "2", "HEADER.FIELDS", b"x-a") == b"X-A: 1\r\nX-A: 2\r\n\r\n"
    assert get(MIXED, "2", "HEADER.FIELDS.NOT", b"x-a", b"content-type") == b"From: inner\r\n\r\n"
    assert get(MIXED, "1", "HEADER.FIELDS", b"x-part") is None
    assert get(SINGLE, "", "MIME") is None
