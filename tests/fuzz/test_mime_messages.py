"""Random messages: nothing raises, offsets nest, sections agree with structure; the standard library as oracle."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

from hypothesis import given, settings
from hypothesis import strategies as st

from roost.imap.bodystructure import both
from roost.imap.envelope import envelope
from roost.mime import encodings
from roost.mime.header import DESCRIBING
from roost.mime.parts import Limits, Part, parse
from roost.mime.sections import find_part, section_range

LINES = st.sampled_from(
    [
        b"--b", b"--b--", b"--c", b"--c--", b"--b ", b"--bc", b"", b"", b"text", b"A: b", b" folded", b"\t",
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/digest; boundary=\"c\"",
        b"Content-Type: multipart/x; boundary=bc", b"Content-Type: message/rfc822", b"Content-Type: text/html",
        b"Content-Type: (", b"Content-Transfer-Encoding: base64", b"Content-Disposition: a; b=c",
        b"Content-Language: x, y", b"From: a@b, c: d@e;", b"Subject: \xe9", b"\x00", b":", b"--", b"-",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
MESSAGES = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=40).map(b"".join)
LIMITS = st.builds(
    Limits,
    max_depth=st.integers(0, 4),
    max_parts=st.integers(1, 8),
    max_header_octets=st.integers(0, 300),
    max_fields=st.integers(0, 20),
)


def check(data: bytes, part: Part, low: int, high: int) -> int:
    """Offsets inside [low, high]; children in order, inside the body; the number of parts."""
    assert low <= part.start <= part.body <= part.stop <= high
    if part.type == b"text":
        assert part.lines == data.count(b"\n", part.body, part.stop)
    count = 1
    at = part.body
    for child in part.children:
        count += check(data, child, at, part.stop)
        at = child.stop
    if part.is_message and part.children:
        assert part.lines == data.count(b"\n", part.body, part.stop)
        assert [part.body, part.stop] == [part.children[0].start, part.children[0].stop]
    assert not part.children or part.is_multipart or part.is_message
    return count


def without_strings(wire: bytes) -> bytes:
    """Structure only: literals and quoted strings taken out."""
    out = []
    pos = 0
    for match in re.finditer(rb'"(?:[^"\\]|\\.)*"|\{(\d+)\}\r\n', wire, re.DOTALL):
        if match.start() < pos:
            continue
        out.append(wire[pos : match.start()])
        pos = match.end() + int(match[1] or 0)
    return b"".join([*out, wire[pos:]])


@settings(max_examples=200)
@given(MESSAGES, st.one_of(st.just(Limits()), LIMITS))
def test_random_messages(data: bytes, limits: Limits) -> None:
    root = parse(data, limits)
    assert (root.start, root.stop) == (0, len(data))
    assert check(data, root, 0, len(data)) <= limits.max_parts
    for wire in (*both(root), envelope(root.fields)):
        bare = without_strings(wire)
        assert bare.count(b"(") == bare.count(b")")
        assert re.fullmatch(rb"[() NIL0-9]*", bare)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_random_octets(data: bytes) -> None:
    for text in (data, b"Content-Type: multipart/mixed; boundary=" + data):
        root = parse(text)
        check(text, root, 0, len(text))
        both(root)
        envelope(root.fields)


@given(
    MESSAGES, st.lists(st.integers(1, 3), max_size=4), st.sampled_from(["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS"])
)
def test_sections_of_random_messages(data: bytes, path: list[int], part: str) -> None:
    found = section_range(parse(data), path, part)
    assert found is None or 0 <= found[0] <= found[1] <= len(data)


WORDS = st.text("abcdefg hij-\n\u00e9", max_size=60)


@st.composite
def built(draw: st.DrawFn, depth: int = 0) -> Message:
    """A well-formed message made by the standard library."""
    kind = draw(st.sampled_from(["text", "text", "file"] if depth > 2 else ["text", "file", "mixed", "message"]))
    if kind == "text":
        made: Message = MIMEText(draw(WORDS), draw(st.sampled_from(["plain", "html"])), "utf-8")
    elif kind == "file":
        made = MIMEBase("application", "x-file", name="a b.bin")
        made.set_payload(draw(st.text("abc\n", max_size=40)))
        made.add_header("Content-Disposition", "attachment", filename="a b.bin")
    elif kind == "message":
        made = MIMEMessage(draw(built(depth + 1)))
    else:
        children = draw(st.lists(built(depth + 1), min_size=1, max_size=3))
        made = MIMEMultipart(draw(st.sampled_from(["mixed", "alternative"])), _subparts=children)
    made["Subject"] = f"level {depth}"
    return made


def compare(data: bytes, ours: Part, theirs: Message) -> None:
    kind = b"%s/%s" % (ours.type, ours.subtype)
    assert kind.decode() == theirs.get_content_type()
    names = {name.lower().encode() for name in theirs}
    assert ours.fields.keys() & DESCRIBING == names & DESCRIBING
    if ours.header is not None:  # the message itself
        assert set(ours.header[1]) == names
    if theirs.is_multipart():
        payload = theirs.get_payload()
        assert len(payload) == len(ours.children)
        for part, message in zip(ours.children, payload, strict=True):
            compare(data, part, message)
    else:
        body = encodings.decode(data[ours.body : ours.stop], encodings.encoding_of(ours))
        assert body == theirs.get_payload(decode=True)


@settings(max_examples=100, deadline=None)
@given(built())
def test_against_the_standard_library(message: Message) -> None:
    data = re.sub(rb"\r?\n", b"\r\n", message.as_bytes())
    root = parse(data)
    compare(data, root, message_from_bytes(data))
    assert find_part(root, [1]) is not None
