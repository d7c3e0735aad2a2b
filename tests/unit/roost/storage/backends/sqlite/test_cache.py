"""The compact blocks of header fields, against selecting from the header."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roost.mime.header import describing_fields, header_stop, select_fields
from roost.storage.backends.sqlite.cache import FIELDS, MAX_BLOCK_OCTETS, Picker, encode_fields, encode_lines, known

NAMES = [b"From", b"SUBJECT", b"to", b"Message-ID", b"X-Other", b"References", b"X", b"Date"]
LINES = st.lists(
    st.one_of(
        st.builds(lambda name, value: name + b": " + value, st.sampled_from(NAMES), st.binary(max_size=20)),
        st.sampled_from([b"no field", b" folded", b"\tfolded: too", b": nothing", b"To :spaced", b"\xff: x"]),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from([b"\r\n", b"\n"]), st.sets(st.sampled_from([n.lower() for n in NAMES])), st.booleans())
@settings(max_examples=200)
def test_picked_is_selected(lines: list[bytes], end: bytes, names: set[bytes], whole: bool) -> None:
    header = end.join(lines) + (end + end + b"body: x" if whole else b"")
    names &= set(FIELDS)
    stop = header_stop(header)
    block = encode_fields(header, stop)
    assert block is not None
    assert Picker(names).pick(block) == select_fields(header, names, 0, stop)


def test_neighbours_are_one_slice_and_order_is_the_messages() -> None:
    header = b"Subject: s\r\nFrom: f\r\nReceived: r\r\nTo: t\r\n more\r\nSubject: again\r\n"
    block = encode_fields(header, len(header))
    assert block is not None
    assert Picker([b"to", b"from", b"subject"]).pick(block) == header.replace(b"Received: r\r\n", b"")
    assert Picker([b"cc"]).pick(block) == b""


def test_a_flood_is_not_stored() -> None:
    assert encode_fields(b"To: x\r\n" * 300, 2100) is None
    big = b"Subject: " + b"x" * MAX_BLOCK_OCTETS + b"\r\n"
    assert encode_fields(big, len(big)) is None


def test_known() -> None:
    assert known((b"from", b"references")) and not known((b"from", b"x-other")) and known(())
    assert len(FIELDS) == len(set(FIELDS)) and all(name == name.lower() for name in FIELDS)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"From: a@b\r\n",
                b"to :x\r\n",
                b"X-Y: z\r\n",
                b"junk\r\n",
                b"Subject: a\r\n b\r\n",
                b"DATE:\n",
                b"Cc: \r\n",
            ]
        ),
        min_size=1,
    ).map(b"".join)
)
def test_lines_give_the_block_that_the_header_gives(header: bytes) -> None:
    data = header + b"\r\nbody"
    _, lines, names = describing_fields(header[:-1])
    assert encode_lines(lines, names) == encode_fields(data, len(header))


def test_too_many_and_too_long_lines_are_not_stored() -> None:
    assert encode_lines([b"To: a\r"] * 255, [b"to"] * 255) is not None
    assert encode_lines([b"To: a\r"] * 256, [b"to"] * 256) is None
    assert encode_lines([b"To: " + b"a" * MAX_BLOCK_OCTETS], [b"to"]) is None
