"""The tree of parts: structure, offsets, line counts, odd delimiters, limits."""

from __future__ import annotations

import pytest

from roost.mime.parts import Limits, Part, parse

Tree = tuple[object, ...]


def shape(data: bytes, part: Part) -> Tree:
    """(type, body octets, lines, children…)"""
    kind = b"%s/%s" % (part.type, part.subtype)
    body = data[part.body : part.stop]
    if part.children:
        return (kind.decode(), part.lines, *[shape(data, child) for child in part.children])
    return (kind.decode(), body, part.lines)


def tree(text: bytes, limits: Limits | None = None, *, crlf: bool = True) -> Tree:
    data = text.replace(b"\n", b"\r\n") if crlf else text
    return shape(data, parse(data, limits or Limits()))


M = b"Content-Type: multipart/mixed; boundary=b\n\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"", ("text/plain", b"", 0)),
        (b"\n", ("text/plain", b"", 0)),
        (b"A: b", ("text/plain", b"", 0)),
        (b"A: b\n\nx\ny", ("text/plain", b"x\r\ny", 1)),
        (b"no header\n\nbody", ("text/plain", b"body", 0)),
        (b"Content-Type: image/png\n\nx\n", ("image/png", b"x\r\n", 0)),
        (b"Content-Type: nonsense\n\nx\n", ("text/plain", b"x\r\n", 1)),
        (b"Content-Type: text/plain\nContent-Type: image/png\n\nx", ("text/plain", b"x", 0)),
        (M + b"--b\n\nx\n--b--\n", ("multipart/mixed", 0, ("text/plain", b"x", 0))),
        (M + b"pre\n--b\n\nx\n\n--b--\npost\n", ("multipart/mixed", 0, ("text/plain", b"x\r\n", 1))),
        (
            M + b"--b\n\nx\n--b\nContent-Type: text/html\n\ny\n--b--",
            ("multipart/mixed", 0, ("text/plain", b"x", 0), ("text/html", b"y", 0)),
        ),
        # No closing delimiter: the last part runs to the end.
        (M + b"--b\n\nx\ny\n", ("multipart/mixed", 0, ("text/plain", b"x\r\ny\r\n", 2))),
        # White space after a delimiter is padding; other text makes it no delimiter.
        (
            M + b"--b \t\n\nx\n--bc\n--b --\n--b---\n--b-- \n",
            ("multipart/mixed", 0, ("text/plain", b"x\r\n--bc\r\n--b --\r\n--b---", 3)),
        ),
        (M + b" --b\n\nx\n", ("multipart/mixed", b" --b\r\n\r\nx\r\n", 0)),
        # Nothing in a part, and delimiters one after another.
        (M + b"--b\n--b\n\n--b--\n", ("multipart/mixed", 0, ("text/plain", b"", 0), ("text/plain", b"", 0))),
        (M + b"--b--\n--b\n\nx\n", ("multipart/mixed", b"--b--\r\n--b\r\n\r\nx\r\n", 0)),
        # A delimiter ends a header too.
        (
            M + b"--b\nContent-Type: image/png\n--b\n\ny\n--b--",
            ("multipart/mixed", 0, ("image/png", b"", 0), ("text/plain", b"y", 0)),
        ),
        # Type, but no usable boundary.
        (b"Content-Type: multipart/mixed\n\n--b\n\nx\n", ("text/plain", b"--b\r\n\r\nx\r\n", 3)),
        (b'Content-Type: multipart/mixed; boundary=""\n\n--\n', ("text/plain", b"--\r\n", 1)),
        (M + b"nothing\n", ("multipart/mixed", b"nothing\r\n", 0)),
        # Messages inside.
        (
            b"Content-Type: message/rfc822\n\nSubject: x\n\none\ntwo\n",
            ("message/rfc822", 4, ("text/plain", b"one\r\ntwo\r\n", 2)),
        ),
        (
            M + b"--b\nContent-Type: message/rfc822\n\nSubject: x\n\none\ntwo\n--b--\n",
            ("multipart/mixed", 0, ("message/rfc822", 3, ("text/plain", b"one\r\ntwo", 1))),
        ),
        (
            M + b"--b\nContent-Type: message/rfc822\n\n--b--\n",
            ("multipart/mixed", 0, ("message/rfc822", 0, ("text/plain", b"", 0))),
        ),
        (
            b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n"
            b"--b\nContent-Type: text/plain\n\nz\n--b--\n",
            ("multipart/digest", 0, ("message/rfc822", 2, ("text/plain", b"y", 0)), ("text/plain", b"z", 0)),
        ),
        # The inner boundary begins like the outer one, and is never closed.
        (
            M + b"--b\nContent-Type: multipart/alternative; boundary=b-in\n\n"
            b"--b-in\n\nx\n--b-in\n\ny\n--b\n\nz\n--b--\n",
            (
                "multipart/mixed",
                0,
                ("multipart/alternative", 0, ("text/plain", b"x", 0), ("text/plain", b"y", 0)),
                ("text/plain", b"z", 0),
            ),
        ),
        # The same boundary inside: the innermost takes it, until it is closed.
        (
            M + b"--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--\n",
            ("multipart/mixed", 0, ("multipart/alternative", 0, ("text/plain", b"x", 0)), ("text/plain", b"y", 0)),
        ),
        # An outer delimiter ends everything inside, attached messages too.
        (
            M + b"--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n"
            b"--c\n\nx\n--b\n\ny\n--b--",
            (
                "multipart/mixed",
                0,
                ("message/rfc822", 4, ("multipart/mixed", 0, ("text/plain", b"x", 0))),
                ("text/plain", b"y", 0),
            ),
        ),
    ],
)  # fmt: skip
def test_shapes(text: bytes, wanted: Tree) -> None:
    assert tree(text) == wanted


def test_bare_line_ends() -> None:
    text = M + b"--b\n\nx\ny\n--b--\n"
    assert tree(text, crlf=False) == ("multipart/mixed", 0, ("text/plain", b"x\ny", 1))
    mixed = M.replace(b"\n", b"\r\n") + b"--b\nA: b\n\r\nx\n--b--\r\n"
    assert tree(mixed, crlf=False) == ("multipart/mixed", 0, ("text/plain", b"x", 0))


def test_offsets_and_fields() -> None:
    data = b"Subject: x\r\n" + M.replace(b"\n", b"\r\n") + b"--b\r\nContent-ID: <1>\r\n\r\nx\r\n--b--\r\n"
    root = parse(data)
    (child,) = root.children
    assert root.fields[b"subject"].strip() == b"x"
    assert child.fields[b"content-id"].strip() == b"<1>"
    assert data[child.start : child.body] == b"Content-ID: <1>\r\n\r\n"
    assert child.stop - child.body == 1
    assert root.is_multipart
    assert not child.is_message
    assert "multipart/mixed" in repr(root)


def test_depth_limit() -> None:
    text = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5)) + b"\nx\n"
    found = tree(text, Limits(max_depth=2))
    assert found[:2] == ("multipart/mixed", 0)
    inner = found[2][2]  # type: ignore[index]
    assert inner[0] == "application/octet-stream"
    assert inner[1].startswith(b"--b2\r\nContent-Type")


def test_a_multipart_over_the_depth_limit_still_ends_where_its_parent_says() -> None:
    text = M + b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--b\n\ny\n--b--\n"
    assert tree(text, Limits(max_depth=1)) == (
        "multipart/mixed",
        0,
        ("application/octet-stream", b"--c\r\n\r\nx\r\n--c--", 0),
        ("text/plain", b"y", 0),
    )


def test_part_limit() -> None:
    text = M + b"--b\n\n1\n--b\n\n2\n--b\n\n3\n--b--\n"
    assert tree(text, Limits(max_parts=4)) == tree(text)
    assert tree(text, Limits(max_parts=3)) == (
        "multipart/mixed",
        0,
        ("text/plain", b"1", 0),
        ("application/octet-stream", b"2\r\n--b\r\n\r\n3\r\n--b--\r\n", 0),
    )
    message = b"Content-Type: message/rfc822\n\nA: b\n\nx"
    assert tree(message, Limits(max_parts=1)) == ("application/octet-stream", b"A: b\r\n\r\nx", 0)


def test_header_limits() -> None:
    long = b"X: y\r\n" * 100 + b"Content-Type: image/png\r\n\r\nx"
    assert parse(long, Limits(max_header_octets=300)).type == b"text"
    assert parse(long, Limits(max_fields=50)).type == b"text"
    assert parse(long).type == b"image"
    assert long[parse(long, Limits(max_header_octets=300)).body :] == b"x"


def nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))


HOSTILE = {
    "nested": nested(20_000),
    "nested, then text": nested(99)
    + b"hello\n" * 500_000,
    "nested, then dashes": nested(99)
    + b"--\n" * 700_000,
    "nested prefixes": b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (b"b" * n, b"b" * n) for n in range(1, 100)
    )
    + b"--" + b"b" * 200 + b"\n" * 20_000,
    "messages": b"Content-Type: message/rfc822\n\n" * 70_000,
    "messages, then fields": b"Content-Type: message/rfc822\n\n" * 99 + b"A: b\n" * 400_000,
    "parts": M + b"--b\n\nx\n" * 300_000,
    "empty parts": M + b"--b\n" * 500_000,
    "headers without end": M + b"--b\nA: b\n" * 250_000,
    "almost delimiters": M + b"--bx\n" * 400_000,
    "padded delimiters": M + b"--b" + b" " * 2_000_000,
    "fields": b"A: b\n" * 400_000,
    "folds": b"Subject: x" + b"\n y" * 700_000,
    "types": b"Content-Type: text/plain" + b"; a=b" * 400_000 + b"\n\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_linear(name: str) -> None:
    """About 2 MB each: quadratic work would outlast the test's time."""
    for data in (HOSTILE[name], HOSTILE[name].replace(b"\n", b"\r\n")):
        root = parse(data)
        assert (root.start, root.stop) == (0, len(data))
